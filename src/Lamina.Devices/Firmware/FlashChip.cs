// A flash chip in which firmware keeps variables: loads see its bytes until a store, which is a command, has them see something else; then all goes
// to the chip until it is told to show its bytes again. Commands are those of Intel's and Sharp's chips, a byte wide (JEDEC JEP137, command set
// 0001h; Intel, Common Flash Interface and Command Sets, AP-646), as many as firmware for PCs uses: read, read status, clear status, identify, program a
// byte, erase a block. A byte is programmed by clearing bits, a block is erased to ones. What is to outlive the machine is kept in a store before
// the chip says that it is done; what cannot be kept is not done, and the chip's status says so.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Firmware;

/// <summary>A flash chip that can be written.</summary>
public sealed class FlashChip : IBusDevice, IResettable, ISavedUnit, IInspected, ICounted, IDisposable
{
    /// <summary>The length of a block in bytes, the least that can be erased.</summary>
    public const int Block = 4096;

    /// <summary>The longest chip.</summary>
    public const int Longest = 16 << 20;

    private const byte ReadArray = 0xff, ReadStatus = 0x70, ClearStatus = 0x50, Identify = 0x90, Program = 0x10, ProgramToo = 0x40, Erase = 0x20, Confirm = 0xd0;
    private const byte Ready = 0x80, EraseFailed = 0x20, ProgramFailed = 0x10, Manufacturer = 0x89, Device = 0x18;

    private readonly Lock _gate = new();
    private readonly MemoryRegion _region;
    private readonly IBusWindow _window;
    private readonly IFlashStore? _store;
    private readonly int _length;
    private Mode _mode;
    private byte _status = Ready;
    private long _programmed, _erased;

    // What was written since it showed its bytes last.
    private bool _unsettled;

    private enum Mode : byte
    {
        Array,
        Status,
        Identity,
        Programs,
        Erases,
    }

    /// <summary>Puts a chip to a place.</summary>
    /// <param name="memory">The machine's memory, of which it becomes a region.</param>
    /// <param name="bus">Takes its commands.</param>
    /// <param name="name">What it is called there.</param>
    /// <param name="start">Where it lies.</param>
    /// <param name="content">What is in it: whole blocks.</param>
    /// <param name="store">Keeps what is written, and holds the same content now; the chip's from now on. Null: it ends with the machine.</param>
    /// <exception cref="Host.HostException">The host has no memory for it.</exception>
    public FlashChip(GuestMemory memory, Bus bus, string name, ulong start, ReadOnlySpan<byte> content, IFlashStore? store = null)
    {
        if (content.Length is 0 or > Longest || content.Length % Block != 0) throw new ArgumentException($"a flash chip has whole blocks of {Block} bytes", nameof(content));
        (_length, _store) = (content.Length, store);
        _region = memory.Map(start, (ulong)content.Length, MemoryKind.Rom, name);
        _region.TryWrite(0, content);
        _window = bus.CreateWindow(name, (ulong)content.Length, this);
        _window.TryMove(start);
    }

    /// <summary>Shows its bytes, which stay as they are.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _status = Ready;
            Enter(Mode.Array);
        }
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate)
        {
            switch (_mode)
            {
                case Mode.Array:
                    // It shows its bytes again since the load began.
                    _region.TryRead(offset, data);
                    break;
                case Mode.Identity:
                    for (var i = 0; i < data.Length; i++) data[i] = ((offset + (ulong)i) & 0xff) switch { 0 => Manufacturer, 1 => Device, _ => 0 };
                    break;
                default:
                    data.Fill(_status);
                    break;
            }
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            switch (_mode)
            {
                case Mode.Programs:
                    Put(offset, data);
                    Enter(Mode.Status);
                    break;
                case Mode.Erases:
                    if (data[0] == Confirm) EraseBlock(offset);
                    else _status |= EraseFailed | ProgramFailed;
                    Enter(Mode.Status);
                    break;
                default:
                    Take(data[0]);
                    break;
            }
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("start", _region.Start ?? 0);
        node.Say("bytes", (long)_length);
        node.Say("mode", _mode);
        node.SayHex("status", _status);
        node.Say("file", _store?.Name);
    });

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Total("flash_programmed_bytes", Interlocked.Read(ref _programmed), "bytes that firmware wrote into its flash chip", CounterUnit.Bytes);
        counters.Total("flash_erased_blocks", Interlocked.Read(ref _erased), "blocks that firmware erased in its flash chip");
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("flash chip", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate)
        {
            var content = new byte[_length];
            _region.TryRead(0, content);
            Exchange(fields, ref content, ref _mode);
        }
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            var (content, mode) = (new byte[_length], Mode.Array);
            Exchange(fields, ref content, ref mode);
            SavedFields.Require(content.Length == _length, $"a flash chip of {content.Length} bytes, and this one has {_length}");
            // Whoever is killed here goes on from the same state again, and writes all of it again.
            SavedFields.Require(_store is null || _store.TryWrite(0, content), $"a flash chip whose content {_store?.Name} does not take");
            _region.TryWrite(0, content);
            Enter(mode);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _window.Dispose();
        _region.Dispose();
        _store?.Dispose();
    }

    private void Exchange(SavedFields fields, ref byte[] content, ref Mode mode)
    {
        fields.Bytes(1, ref content, Longest);
        fields.Choice(2, ref mode);
        fields.Value(3, ref _status);
        fields.Value(4, ref _programmed);
        fields.Value(5, ref _erased);
    }

    private void Take(byte command)
    {
        switch (command)
        {
            case ReadArray:
                Enter(Mode.Array);
                break;
            case ReadStatus:
                Enter(Mode.Status);
                break;
            case ClearStatus:
                // Ready, too, is said again by what is done next.
                _status = 0;
                break;
            case Identify:
                Enter(Mode.Identity);
                break;
            case Program or ProgramToo:
                Enter(Mode.Programs);
                break;
            case Erase:
                Enter(Mode.Erases);
                break;
            default:
                Enter(Mode.Array);
                break;
        }
    }

    private void Put(ulong offset, ReadOnlySpan<byte> data)
    {
        Span<byte> there = stackalloc byte[sizeof(ulong)];
        there = there[..data.Length];
        if (!_region.TryRead(offset, there)) return;
        for (var i = 0; i < data.Length; i++) there[i] &= data[i];
        _status |= Ready;
        if (!Keep(offset, there))
        {
            _status |= ProgramFailed;
            return;
        }
        _region.TryWrite(offset, there);
        Interlocked.Add(ref _programmed, data.Length);
    }

    private bool Keep(ulong offset, ReadOnlySpan<byte> bytes)
    {
        _unsettled = true;
        return _store?.TryWrite((long)offset, bytes) != false;
    }

    private void EraseBlock(ulong offset)
    {
        Span<byte> ones = stackalloc byte[Block];
        ones.Fill(0xff);
        offset = offset / Block * Block;
        _status |= Ready;
        if (!Keep(offset, ones))
        {
            _status |= EraseFailed;
            return;
        }
        _region.TryWrite(offset, ones);
        Interlocked.Increment(ref _erased);
    }

    // Between commands the memory answers by itself.
    private void Enter(Mode mode)
    {
        var (before, after) = (_mode == Mode.Array, mode == Mode.Array);
        _mode = mode;
        if (after && _unsettled)
        {
            _unsettled = false;
            _store?.Settle();
        }
        if (before != after) _region.SetKind(after ? MemoryKind.Rom : MemoryKind.Device);
    }
}
