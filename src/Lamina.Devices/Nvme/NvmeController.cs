// An NVM Express controller with one namespace: NVM Express Base Specification 1.4. A worker for each submission queue takes its commands in their
// order and carries each out before the next; several queues work at once. A command that has begun ends before the controller stands still, so
// that nothing is under way in a saved state.
//
// Lock order: _life (who enables, disables or resets), a queue's Running (its command), _gate (registers and places in queues), then the interrupts'.
using System.Buffers.Binary;
using Lamina.Core.Block;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Core.Work;
using Lamina.Devices.Media;
using Lamina.Devices.Pci;
using static Lamina.Devices.Nvme.NvmeSpec;

namespace Lamina.Devices.Nvme;

/// <summary>What a controller is to be.</summary>
/// <param name="Serial">Its serial number: up to 20 characters of ASCII.</param>
/// <param name="Queues">How many pairs of queues for input and output, 1 to 16.</param>
/// <param name="BlockSize">The size of a logical block, 512 or 4096; null for the disk's own.</param>
public sealed record NvmeOptions(string Serial, int Queues, int? BlockSize = null)
{
    /// <summary>The most pairs of queues.</summary>
    public const int MostQueues = NvmeSpec.MostQueues;
}

/// <summary>An NVM Express controller.</summary>
public sealed partial class NvmeController : PciFunction, IBusDevice, IPausable, ICounted
{
    private readonly Lock _life = new(), _gate = new();
    private readonly GuestMemory _memory;
    private readonly IWorkerFactory _workers;
    private readonly DriveOptions _driveOptions;
    private readonly NvmeNamespace _namespace;
    private readonly int _queues;
    private readonly string _name;
    private readonly IWorker?[] _worker = new IWorker?[MostQueues + 1];
    private readonly SubmissionQueue?[] _submissions = new SubmissionQueue?[MostQueues + 1];
    private readonly CompletionQueue?[] _completions = new CompletionQueue?[MostQueues + 1];
    private NvmeRegisters _registers = new();
    private bool _paused, _isMaster, _told, _disposed;

    /// <summary>Makes one of a disk, which stays its creator's to dispose.</summary>
    /// <param name="wires">What it is connected with.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="options">What it is to be.</param>
    /// <param name="drive">How the disk is treated.</param>
    /// <param name="memory">Guest memory.</param>
    /// <param name="workers">Makes its workers.</param>
    public NvmeController(PciWires wires, IBlockBackend disk, NvmeOptions options, DriveOptions drive, GuestMemory memory, IWorkerFactory workers)
        : base(new PciIdentity(Vendor, Device, ClassCode) { Revision = 2, Subsystem = (SubsystemVendor, Subsystem) }, wires)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.Queues);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Queues, MostQueues);
        (_memory, _workers, _driveOptions, _queues, _name) = (memory, workers, drive, options.Queues, wires.Name);
        _namespace = new NvmeNamespace(disk, drive, options.Serial, options.BlockSize, memory);
        AddBar(RegistersBar, PciSpec.BarIs64Bits, WindowLength, this);
        AddMessageTable(MessagesBar, _queues + 1);
        base.Reset();
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("NVMe controller", 1);

    private bool IsFatal => (_registers.Status & Fatal) != 0;

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_gate) _paused = true;
        AwaitCommands(Queues());
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_gate) _paused = false;
        WakeAll();
    }

    /// <summary>Tries what waits for space on the host's disk once more, unless the machine stands still: then when it goes on. Any thread.</summary>
    public void Retry()
    {
        lock (_gate)
        {
            foreach (var queue in _submissions)
                if (queue is not null) queue.WaitsForSpace = false;
        }
        WakeAll();
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        Stop();
        lock (_gate) _registers = new NvmeRegisters();
        _namespace.Medium.Reset();
        base.Reset();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        Stop();
        lock (_gate) _disposed = true;
        foreach (var worker in _worker) worker?.Dispose();
        _driveOptions.Gate?.Dispose();
    }

    /// <inheritdoc/>
    public override void Save(SavedFields fields)
    {
        base.Save(fields);
        lock (_gate) Exchange(fields);
    }

    /// <inheritdoc/>
    public override void Load(SavedFields fields)
    {
        base.Load(fields);
        lock (_gate)
        {
            Exchange(fields);
            UpdatePin();
        }
    }

    /// <inheritdoc/>
    public override void Inspect(InspectNode node)
    {
        base.Inspect(node);
        node.Locked(_gate, () =>
        {
            node.SayHex("configuration", _registers.Configuration);
            node.SayHex("status", _registers.Status);
            node.Say("stands still", _paused);
            node.Say("doorbell buffers", _registers.Shadow != 0);
            node.Say("requests for events", (long)_registers.EventRequests.Count);
            foreach (var queue in _submissions)
            {
                if (queue is null) continue;
                var below = node.Below($"submission queue {queue.Id}");
                below.SayHex("address", queue.Address);
                below.Say("entries", (long)queue.Size);
                below.Say("head", (long)queue.Head);
                below.Say("tail", (long)queue.Tail);
                below.Say("completion queue", (long)queue.CompletionQueue);
                below.Say("waits for space", queue.WaitsForSpace);
            }
            foreach (var queue in _completions)
            {
                if (queue is null) continue;
                var below = node.Below($"completion queue {queue.Id}");
                below.SayHex("address", queue.Address);
                below.Say("entries", (long)queue.Size);
                below.Say("head", (long)queue.Head);
                below.Say("tail", (long)queue.Tail);
                below.Say("message", queue.Interrupts ? queue.Vector : -1L);
            }
        });
        _namespace.Medium.Inspect(node);
    }

    /// <inheritdoc/>
    public void Count(CounterList counters) => _namespace.Medium.Count(counters);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        if (data.Length is not (4 or 8) || offset % 4 != 0) return AccessResult.InvalidSize;
        Span<byte> image = stackalloc byte[EndOfRegisters + sizeof(ulong)];
        lock (_gate) _registers.Write(image);
        for (var i = 0; i < data.Length; i++) data[i] = offset + (ulong)i < EndOfRegisters ? image[(int)offset + i] : (byte)0;
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (data.Length is not (4 or 8) || offset % 4 != 0) return AccessResult.InvalidSize;
        for (var i = 0; i < data.Length; i += sizeof(uint))
        {
            var value = BinaryPrimitives.ReadUInt32LittleEndian(data[i..]);
            var at = (int)offset + i;
            if (at >= Doorbells) Ring((at - Doorbells) / DoorbellLength, value);
            else if (at == Configuration) Configure(value);
            else lock (_gate) WriteRegister(at, value);
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    protected override void Written(int offset, int length)
    {
        var isMaster = (BinaryPrimitives.ReadUInt16LittleEndian(Space[PciSpec.Command..]) & PciSpec.BusMaster) != 0;
        if (Interlocked.Exchange(ref _isMaster, isMaster) || !isMaster) return;
        WakeAll();
    }

    private void WriteRegister(int at, uint value)
    {
        switch (at)
        {
            case MaskSet:
                _registers.Masked |= value;
                break;
            case MaskClear:
                _registers.Masked &= ~value;
                break;
            case AdminAttributes:
                _registers.AdminAttributes = value;
                break;
            case AdminSubmission or AdminSubmission + 4:
                Put(ref _registers.AdminSubmission, at != AdminSubmission, value);
                break;
            case AdminCompletion or AdminCompletion + 4:
                Put(ref _registers.AdminCompletion, at != AdminCompletion, value);
                break;
        }
        UpdatePin();

        static void Put(ref ulong register, bool upper, uint value)
        {
            const ulong low = uint.MaxValue;
            register = (upper ? register & low | (ulong)value << 32 : register & ~low | value) & ~(ulong)(PageLength - 1);
        }
    }

    // 3.1.5: what the driver asks of the controller as a whole.
    private void Configure(uint value)
    {
        lock (_life)
        {
            bool enabled;
            lock (_gate)
            {
                enabled = (_registers.Configuration & Enable) != 0;
                var shutsDown = (value & ShutdownMask) != 0 && (_registers.Configuration & ShutdownMask) == 0;
                _registers.Configuration = value & ConfigurationWritable;
                if (shutsDown) _registers.ShutsDown = true;
            }
            if (enabled && (value & Enable) == 0) Stop();
            else if (!enabled && (value & Enable) != 0) Start();
        }
        Wake(0);
    }

    private void Start()
    {
        lock (_gate)
        {
            var (submissions, completions) = ((int)(_registers.AdminAttributes & 0xfff) + 1, (int)(_registers.AdminAttributes >> 16 & 0xfff) + 1);
            if ((_registers.Configuration & (CommandSetMask | PageSizeMask | ArbitrationMask)) != 0 || submissions is < 2 or > MostEntries || completions is < 2 or > MostEntries
                || !_memory.IsRam(_registers.AdminSubmission, (ulong)(submissions * CommandLength)) || !_memory.IsRam(_registers.AdminCompletion, (ulong)(completions * CompletionLength)))
            {
                _registers.Status |= Fatal;
                return;
            }
            _completions[0] = new CompletionQueue { Id = 0, Address = _registers.AdminCompletion, Size = completions, Interrupts = true, Vector = 0 };
            _submissions[0] = Make(0, _registers.AdminSubmission, submissions, 0);
            _registers.Status |= Ready;
        }
    }

    // When it returns, nothing of the controller touches memory, and it is as before it was enabled (3.1.5, CC.EN).
    private void Stop()
    {
        lock (_life)
        {
            var queues = Queues();
            lock (_gate)
            {
                foreach (var queue in queues) queue.IsGone = true;
            }
            AwaitCommands(queues);
            lock (_gate)
            {
                Array.Clear(_submissions);
                Array.Clear(_completions);
                _registers.Forget();
                TellOfSpace();
                UpdatePin();
            }
        }
    }

    private SubmissionQueue[] Queues()
    {
        lock (_gate) return [.. _submissions.OfType<SubmissionQueue>()];
    }

    private static void AwaitCommands(IEnumerable<SubmissionQueue> queues)
    {
        foreach (var queue in queues)
            lock (queue.Running)
            {
            }
    }

    private SubmissionQueue Make(int id, ulong address, int size, int completionQueue) => new()
    {
        Id = id,
        Address = address,
        Size = size,
        CompletionQueue = completionQueue,
        Memory = new TransferMemory(_memory),
        Worker = _worker[id] ??= _workers.Create(id == 0 ? $"{_name} admin" : $"{_name} queue {id}", () => Work(id)),
    };

    private void Ring(int doorbell, uint value)
    {
        var id = doorbell / 2;
        if (id > MostQueues) return;
        lock (_gate)
        {
            if (doorbell % 2 == 0)
            {
                if (_submissions[id] is not { } queue) Tell(NvmeEvents.InvalidDoorbell);
                else if (value >= queue.Size) Tell(NvmeEvents.InvalidValue);
                else queue.Tail = (int)value;
            }
            else if (_completions[id] is not { } queue) Tell(NvmeEvents.InvalidDoorbell);
            else if (value >= queue.Size) Tell(NvmeEvents.InvalidValue);
            else
            {
                queue.Head = (int)value;
                UpdatePin();
                // There is room again.
                foreach (var submission in _submissions)
                    if (submission?.CompletionQueue == id) submission.Worker.Wake();
                return;
            }
        }
        Wake(doorbell % 2 == 0 ? id : 0);
    }

    private void Wake(int id)
    {
        lock (_gate)
            if (!_disposed) _submissions[id]?.Worker.Wake();
    }

    private void WakeAll()
    {
        lock (_gate)
        {
            if (_disposed) return;
            foreach (var queue in _submissions) queue?.Worker.Wake();
        }
    }

    private void Work(int id)
    {
        while (Queue() is { } queue && Step(queue))
        {
        }

        SubmissionQueue? Queue()
        {
            lock (_gate) return _submissions[id];
        }
    }

    // One command; false where there is none that could be carried out now.
    private bool Step(SubmissionQueue queue)
    {
        lock (queue.Running)
        {
            NvmeCommand command;
            if (queue.Id == 0 && TakeShutdown()) ShutDown();
            lock (_gate)
            {
                if (queue.Id == 0) Events();
                if (!TryFetch(queue, out command)) return false;
            }
            NvmeResult? result;
            try
            {
                result = queue.Id == 0 ? Administrate(command, queue) : new NvmeResult(_namespace.CarryOut(command, queue.Memory));
            }
            catch (IOException)
            {
                // The host has no space. The command stays where it is.
                lock (_gate)
                {
                    (queue.WaitsForSpace, queue.HasStalled) = (true, true);
                    TellOfSpace();
                }
                return false;
            }
            lock (_gate)
            {
                queue.Head = queue.Head + 1 == queue.Size ? 0 : queue.Head + 1;
                if (queue.HasStalled)
                {
                    queue.HasStalled = false;
                    TellOfSpace();
                }
                if (result is { } ended && !queue.IsGone) Complete(queue, command.Id, ended);
            }
            return true;
        }
    }

    // With _gate.
    private bool TryFetch(SubmissionQueue queue, out NvmeCommand command)
    {
        command = default;
        if (_paused || !Volatile.Read(ref _isMaster) || queue.IsGone || queue.WaitsForSpace || queue.IsHeldBack || IsFatal) return false;
        var completions = _completions[queue.CompletionQueue]!;
        if (IsFull(completions) || TailOf(queue) == queue.Head) return false;
        var gate = queue.Id == 0 ? null : _driveOptions.Gate;
        if (gate?.TryPass(queue) == false) return false;
        if (!_memory.TryRead(queue.Address + (ulong)(queue.Head * CommandLength), (Span<byte>)command))
        {
            _registers.Status |= Fatal;
            return false;
        }
        gate?.Charge(_namespace.LengthOf(command));
        return true;
    }

    private bool TakeShutdown()
    {
        lock (_gate)
        {
            if (_paused || !_registers.ShutsDown) return false;
            _registers.ShutsDown = false;
            return true;
        }
    }

    // 7.6.2: what was written is durable before it says that it can be turned off.
    private void ShutDown()
    {
        var ended = ShutdownComplete;
        try
        {
            _namespace.Flush();
        }
        catch (IOException failure)
        {
            _namespace.Medium.Fail(failure.Message);
            ended = Fatal;
        }
        lock (_gate) _registers.Status |= ended;
    }

    // Of queues for input and output the driver may write places to memory instead of doorbells, and rings these only where it is asked to (7.13).
    private int TailOf(SubmissionQueue queue)
    {
        if (_registers.Shadow == 0 || queue.Id == 0) return queue.Tail;
        Look();
        if (queue.Tail != queue.Head) return queue.Tail;
        Ask(2 * queue.Id, queue.Tail);
        Look();
        return queue.Tail;

        void Look()
        {
            if (_memory.TryRead(Place(_registers.Shadow, 2 * queue.Id), out uint tail) && tail < queue.Size) queue.Tail = (int)tail;
        }
    }

    private bool IsFull(CompletionQueue queue)
    {
        if (!queue.IsFull || _registers.Shadow == 0 || queue.Id == 0) return queue.IsFull;
        Look();
        if (!queue.IsFull) return false;
        Ask((2 * queue.Id) + 1, queue.Head);
        Look();
        return queue.IsFull;

        void Look()
        {
            if (_memory.TryRead(Place(_registers.Shadow, (2 * queue.Id) + 1), out uint head) && head < queue.Size) queue.Head = (int)head;
        }
    }

    private static ulong Place(ulong buffer, int doorbell) => buffer + (ulong)(doorbell * DoorbellLength);

    // The doorbell is to be rung when the place goes on from here.
    private void Ask(int doorbell, int place)
    {
        _memory.TryWrite(Place(_registers.EventIndexes, doorbell), (uint)place);
        Interlocked.MemoryBarrier();
    }

    // With _gate. There is room: a command is taken only where there is.
    private void Complete(SubmissionQueue queue, ushort command, NvmeResult result) => Complete(_completions[queue.CompletionQueue]!, queue.Id, queue.Head, command, result);

    private void Complete(CompletionQueue completions, int submission, int head, ushort command, NvmeResult result)
    {
        Span<byte> entry = stackalloc byte[CompletionLength];
        entry.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(entry, result.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], (uint)submission << 16 | (uint)head);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], (uint)result.Status << 17 | (completions.Phase ? 1u << 16 : 0) | command);
        var at = completions.Address + (ulong)(completions.Tail * CompletionLength);
        // The part by which the driver knows that it is new comes last.
        const int last = CompletionLength - sizeof(uint);
        if (!_memory.TryWrite(at, entry[..last]) || !_memory.TryWrite(at + last, entry[last..]))
        {
            _registers.Status |= Fatal;
            return;
        }
        completions.Tail = completions.Next(completions.Tail);
        if (completions.Tail == 0) completions.Phase = !completions.Phase;
        if (!completions.Interrupts) return;
        lock (InterruptGate)
        {
            if (MessageTable!.IsEnabled)
            {
                MessageTable.Signal(completions.Vector);
                return;
            }
        }
        // By the pin the driver's progress has to be known, which doorbells tell.
        if (_registers.Shadow != 0 && completions.Id != 0) Ask((2 * completions.Id) + 1, completions.Head);
        UpdatePin();
    }

    private void UpdatePin()
    {
        var asserted = false;
        foreach (var queue in _completions)
            asserted |= queue is { Interrupts: true } && queue.Head != queue.Tail && (_registers.Masked >> Math.Min(queue.Vector, 31) & 1) == 0;
        SetPin(asserted);
    }

    private void TellOfSpace()
    {
        var waits = _submissions.Any(queue => queue is { HasStalled: true });
        if (waits == _told) return;
        _told = waits;
        _driveOptions.WaitsForSpace?.Invoke(waits);
    }
}
