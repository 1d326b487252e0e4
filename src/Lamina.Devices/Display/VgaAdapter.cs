// The display of a PC: a VGA with the extensions, as QEMU's "standard VGA" has it (docs/specs/standard-vga of QEMU). Video memory is
// the guest's own where its base address register has it, so that drawing there leaves the guest at nothing; by the window below 1 MiB
// and the ports it is reached through the registers. The adapter does nothing by itself: the beam is where the clock says, and a
// picture is made when somebody looks.
//
// Lock order: who looks, then configuration space, then the registers' lock; nothing but guest memory's watchers is called with that held.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Display;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Devices.Pci;
using static Lamina.Devices.Display.VgaSpec;

namespace Lamina.Devices.Display;

/// <summary>A display adapter.</summary>
public sealed partial class VgaAdapter : PciFunction, IScreen
{
    // What is fixed answers first.
    private const int WindowPriority = -1;

    private const int Page = 4096;

    private readonly Lock _gate = new();
    private readonly IMachineClock _clock;
    private readonly GuestMemory _guest;
    private readonly DeviceMemory _memory;
    private readonly IBusWindow _ports, _extensionPorts, _window;
    private readonly byte[] _edid = Edid.Create();
    private VgaRegisters _registers = new();
    private VgaExtensions _extensions;

    // Guards that video memory is there while somebody looks; taken before all others.
    private readonly Lock _looking = new();
    private readonly List<VgaWatch> _watches = [];
    private bool _isGone;

    // Counts what may have changed the picture, but for what the guest stores where video memory is its own.
    private long _changes;

    /// <summary>Makes one after power-on.</summary>
    /// <param name="wires">What it is connected with.</param>
    /// <param name="clock">By which the beam moves.</param>
    /// <param name="memory">Where guests have its video memory.</param>
    /// <exception cref="Host.HostException">The host has no memory for it.</exception>
    public VgaAdapter(PciWires wires, IMachineClock clock, GuestMemory memory) : base(VgaSpec.Identity, wires)
    {
        ArgumentNullException.ThrowIfNull(wires);
        (_clock, _guest) = (clock, memory);
        _memory = new DeviceMemory(memory, $"{wires.Name} video memory", MemoryLength);
        _extensions = new VgaExtensions(MemoryLength);
        _registers.Reset();
        _extensions.Reset();
        AddBar(0, PciSpec.BarIsPrefetchable, new VideoWindow(_memory));
        AddBar(RegistersBar, 0, RegistersLength, new RegistersInMemory(this));
        _ports = wires.Ports.CreateWindow($"{wires.Name} VGA ports", PortsLength, new PortAccess(this), WindowPriority);
        _extensionPorts = wires.Ports.CreateWindow($"{wires.Name} extension ports", ExtensionPortsLength, new ExtensionAccess(this), WindowPriority);
        _window = wires.Memory.CreateWindow($"{wires.Name} VGA window", WindowLength, new WindowAccess(this), WindowPriority);
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("standard VGA", 1);

    /// <inheritdoc/>
    public string Mode => Prepare().Mode;

    /// <inheritdoc/>
    public ScreenPicture Look(ScreenPicture? reuse = null)
    {
        lock (_looking)
        {
            ObjectDisposedException.ThrowIf(_isGone, this);
            return Prepare().Draw(_memory.Bytes, reuse);
        }
    }

    /// <inheritdoc/>
    public ScreenText? Read()
    {
        lock (_looking)
        {
            ObjectDisposedException.ThrowIf(_isGone, this);
            return Prepare().Read(_memory.Bytes);
        }
    }

    /// <inheritdoc/>
    public IScreenWatch Watch()
    {
        lock (_looking)
        {
            ObjectDisposedException.ThrowIf(_isGone, this);
            var watch = new VgaWatch(this);
            _watches.Add(watch);
            return watch;
        }
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        base.Reset();
        lock (_gate)
        {
            _registers.Reset();
            _extensions.Reset();
            _memory.Clear(0, MemoryLength);
            _changes++;
        }
    }

    /// <inheritdoc/>
    public override void Save(SavedFields fields)
    {
        ArgumentNullException.ThrowIfNull(fields);
        base.Save(fields);
        Exchange(fields);
    }

    /// <inheritdoc/>
    public override void Load(SavedFields fields)
    {
        ArgumentNullException.ThrowIfNull(fields);
        base.Load(fields);
        Exchange(fields);
    }

    /// <inheritdoc/>
    public override void Inspect(InspectNode node)
    {
        ArgumentNullException.ThrowIfNull(node);
        base.Inspect(node);
        VgaPicture? picture = null;
        node.Locked(_gate, () => picture = new VgaPicture(_registers.Copy(), _extensions.Copy()));
        node.Say("mode", picture?.Mode);
        node.Say("video memory", (long)MemoryLength);
        node.Say("of it on the host", _memory.Resident);
        node.Locked(_gate, () =>
        {
            node.SayHex("miscellaneous", _registers.Misc);
            node.Say("sequencer", Convert.ToHexString(_registers.Sequencer));
            node.Say("CRT controller", Convert.ToHexString(_registers.Crt));
            node.Say("graphics controller", Convert.ToHexString(_registers.GraphicsController));
            node.Say("attribute controller", Convert.ToHexString(_registers.Attribute));
            for (var i = 0; i < VgaSpec.Extensions; i++) node.SayHex($"extension {i}", _extensions.Read(i));
        });
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _ports.Dispose();
        _extensionPorts.Dispose();
        _window.Dispose();
        base.Dispose();
        lock (_looking)
        {
            _isGone = true;
            foreach (var watch in _watches) watch.Close();
            _watches.Clear();
            _memory.Dispose();
        }
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    protected override void Written(int offset, int length)
    {
        var command = BinaryPrimitives.ReadUInt16LittleEndian(Space[PciSpec.Command..]);
        Place(_ports, VgaSpec.Ports, (command & PciSpec.AnswersPorts) != 0);
        Place(_extensionPorts, ExtensionPorts, (command & PciSpec.AnswersPorts) != 0);
        Place(_window, Window, (command & PciSpec.AnswersMemory) != 0);
    }

    private static void Place(IBusWindow window, ulong start, bool on)
    {
        if (on) window.TryMove(start);
        else window.SwitchOff();
    }

    private VgaPicture Prepare()
    {
        lock (_gate) return new VgaPicture(_registers.Copy(), _extensions.Copy());
    }

    private void Exchange(SavedFields fields)
    {
        lock (_gate)
        {
            fields.Record(16, ref _registers, VgaRegisters.Exchange);
            fields.Record(17, ref _extensions, VgaExtensions.Exchange);
            IReadOnlyList<VideoPage> pages = fields.IsLoading ? [] : [.. UsedPages()];
            var count = pages.Count;
            fields.Value(18, ref count);
            fields.List(19, ref pages, MemoryLength / Page, VideoPage.Exchange);
            if (!fields.IsLoading) return;
            SavedFields.Require(count == pages.Count, $"{pages.Count} pages of video memory, of {count}");
            SavedFields.Require(_registers.EightBitColours == _extensions.EightBitColours, "colours of another width than is said");
            var before = -1;
            foreach (var page in pages)
            {
                SavedFields.Require(page.Number > before && page.Number < MemoryLength / Page && page.Bytes is { Length: > 0 and <= Page }, $"page {page.Number} of video memory");
                before = page.Number;
                page.Bytes.CopyTo(_memory.Bytes[(page.Number * Page)..]);
            }
            _memory.NotifyWritten(0, MemoryLength);
            _changes++;
        }
    }

    // Those that are not zero, each up to its last byte that is not.
    private IEnumerable<VideoPage> UsedPages()
    {
        const int Piece = 64 << 10;
        for (var piece = 0; piece < MemoryLength; piece += Piece)
        {
            if (!_memory.MayHold(piece, Piece)) continue;
            for (var at = piece; at < piece + Piece; at += Page)
                if (_memory.Bytes.Slice(at, Page).LastIndexOfAnyExcept((byte)0) is >= 0 and var last) yield return new VideoPage { Number = at / Page, Bytes = _memory.Bytes.Slice(at, last + 1).ToArray() };
        }
    }

    private struct VideoPage
    {
        internal int Number;
        internal byte[]? Bytes;

        internal static void Exchange(SavedFields fields, ref VideoPage page)
        {
            var bytes = page.Bytes ?? [];
            fields.Value(1, ref page.Number);
            fields.Bytes(2, ref bytes, Page);
            page.Bytes = bytes;
        }
    }
}
