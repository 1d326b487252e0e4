// The virtio console (virtio 1.2, 5.3): one port, or several with names and control messages, each on a character backend.
// One port that is a console makes a plain device; anything else offers VIRTIO_CONSOLE_F_MULTIPORT.
// Output goes straight from the guest's buffer to the backend; a buffer that the backend does not take whole stays with the device
// until it does, and the queue with it, which holds the guest back. Input waits in a small buffer for the guest to have room,
// and behind that in the backend, so none is lost. What is owed to the control queue is a flag a message, never a list.
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Char;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Console;

/// <summary>One port of a virtio console.</summary>
/// <param name="Backend">What it is connected to; it stays its creator's to dispose.</param>
/// <param name="IsConsole">Whether the guest should use it as a console (hvc0 …) rather than as a plain channel.</param>
/// <param name="Name">The name by which the guest finds it (/dev/virtio-ports/NAME), or null.</param>
public sealed record ConsolePort(ICharBackend Backend, bool IsConsole = true, string? Name = null);

/// <summary>The console device.</summary>
public sealed class VirtioConsole : IVirtioDevice, ISavedUnit, IInspected, ICounted
{
    private readonly ConsolePort[] _ports;
    private readonly byte[][] _names;
    private readonly (ushort Columns, ushort Rows)[] _sizes;
    private readonly bool _offersMultiport;
    private readonly Lock _lock = new();

    // Used by the worker's turns only; all queues share one worker.
    private readonly byte[] _scratch = new byte[Math.Max(ConsoleSpec.InputBufferLength, ConsoleSpec.ControlLength + ConsoleSpec.LongestName)];
    // By port, under the gate of its queue: the buffer that is not sent whole, and how much of it is.
    private readonly (DescriptorChain? Chain, ulong Done)[] _unsent;
    private ConsoleState _state;
    private bool _paused;
    private long _lost;
    private uint _generation;
    private IVirtioHost? _host;

    /// <summary>Makes a console.</summary>
    /// <param name="ports">Its ports; port 0 is the one that exists for drivers that know of one port only.</param>
    /// <exception cref="ArgumentException">There is no port, or there are more than 31, or a name is too long.</exception>
    public VirtioConsole(IReadOnlyList<ConsolePort> ports)
    {
        if (ports.Count is 0 or > ConsoleSpec.MostPorts)
            throw new ArgumentException($"a virtio console has 1 to {ConsoleSpec.MostPorts} ports, not {ports.Count}", nameof(ports));
        _ports = [.. ports];
        _names = [.. ports.Select(port => Encoding.UTF8.GetBytes(port.Name ?? ""))];
        if (_names.Any(name => name.Length > ConsoleSpec.LongestName))
            throw new ArgumentException($"the name of a console port is at most {ConsoleSpec.LongestName} bytes long", nameof(ports));
        _sizes = new (ushort, ushort)[_ports.Length];
        _unsent = new (DescriptorChain?, ulong)[_ports.Length];
        _offersMultiport = _ports.Length > 1 || !_ports[0].IsConsole || _ports[0].Name is not null;
        _state = new ConsoleState(_ports.Length);
        Queues = MakeQueues();
    }

    /// <inheritdoc/>
    public VirtioDeviceType Type => VirtioDeviceType.Console;

    /// <inheritdoc/>
    public ulong Features => ConsoleSpec.FeatureSize | ConsoleSpec.FeatureEmergencyWrite | (_offersMultiport ? ConsoleSpec.FeatureMultiport : 0);

    /// <inheritdoc/>
    public IReadOnlyList<VirtioQueueSpec> Queues { get; }

    /// <inheritdoc/>
    public uint ConfigGeneration
    {
        get
        {
            lock (_lock) return _generation;
        }
    }

    /// <summary>How many characters of the guest's emergency output no backend took.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>Tells the guest how large the terminal behind a port is. Any thread, any time.</summary>
    /// <param name="port">The port's number.</param>
    /// <param name="columns">Characters a line.</param>
    /// <param name="rows">Lines.</param>
    public void Resize(int port, ushort columns, ushort rows)
    {
        bool configuration;
        lock (_lock)
        {
            if (_sizes[port] == (columns, rows)) return;
            _sizes[port] = (columns, rows);
            // 5.3.6: the size in the configuration space is port 0's; with several ports, messages tell it as well.
            configuration = port == 0;
            if (configuration) _generation++;
            if (_state.Ports[port].Ready && _ports[port].IsConsole) _state.Ports[port].Owed |= OwedMessages.Resize;
        }
        if (configuration) _host?.ConfigurationChanged();
        WakeControl();
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_lock, () =>
    {
        node.Say("driver is ready", _state.Active);
        node.Say("several ports", _state.Multiport);
        node.Each("port", [.. Enumerable.Range(0, _ports.Length)], (port, number) =>
        {
            ref readonly var state = ref _state.Ports[number];
            port.Say("name", _ports[number].Name);
            port.Say("console", _ports[number].IsConsole);
            port.Say("guest has it open", state.Open);
            port.Say("input that waits", state.InputLength);
            port.Say("columns", (long)_sizes[number].Columns);
            port.Say("rows", (long)_sizes[number].Rows);
        });
    });

    /// <inheritdoc/>
    public void Count(CounterList counters) => counters.Total("console_lost_bytes", Lost, "emergency output that nobody took", CounterUnit.Bytes);

    /// <inheritdoc/>
    public void Attach(IVirtioHost host)
    {
        _host = host;
        for (var i = 0; i < _ports.Length; i++)
        {
            var port = i;
            if (_ports[i].Backend is ICharConnection connection) connection.ConnectionChanged += () => Owe(port, OwedMessages.Open);
            _ports[i].Backend.Attach(new Receiver(this, i));
        }
    }

    /// <inheritdoc/>
    public bool Accepts(ulong features) => true;

    /// <inheritdoc/>
    public void ReadConfig(int offset, Span<byte> data)
    {
        Span<byte> image = stackalloc byte[ConsoleSpec.ConfigLength];
        image.Clear();
        lock (_lock)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(image[ConsoleSpec.ConfigColumns..], _sizes[0].Columns);
            BinaryPrimitives.WriteUInt16LittleEndian(image[ConsoleSpec.ConfigRows..], _sizes[0].Rows);
        }
        BinaryPrimitives.WriteUInt32LittleEndian(image[ConsoleSpec.ConfigPorts..], (uint)_ports.Length);
        ConfigSpace.Read(image, offset, data);
    }

    /// <inheritdoc/>
    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        // 5.3.5.1: emerg_wr takes a character at any time, negotiated or not; its lower byte counts.
        if (offset == ConsoleSpec.ConfigEmergencyWrite && !data.IsEmpty && _ports[0].Backend.Write(data[..1]) == 0) Interlocked.Increment(ref _lost);
    }

    /// <inheritdoc/>
    public void Activate(ulong features)
    {
        lock (_lock)
        {
            _state.Active = true;
            _state.Multiport = (features & ConsoleSpec.FeatureMultiport) != 0;
            // Without control messages port 0 is all there is, and it is always open.
            _state.Ports[0].Open = !_state.Multiport;
        }
        // Input may have been refused so far.
        if ((features & ConsoleSpec.FeatureMultiport) == 0) _ports[0].Backend.ReadyToReceive();
    }

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_lock) _paused = true;
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_lock)
        {
            _paused = false;
            for (var i = 0; i < _ports.Length; i++)
            {
                if (!_state.Ports[i].BackendWaits) continue;
                _state.Ports[i].BackendWaits = false;
                _ports[i].Backend.ReadyToReceive();
            }
        }
    }

    /// <inheritdoc/>
    public bool ProcessQueue(int index)
    {
        if (index == ConsoleSpec.ControlReceiveQueue) return SendControl();
        if (index == ConsoleSpec.ControlTransmitQueue) return ReceiveControl();
        return ConsoleSpec.IsTransmit(index) ? Transmit(index) : Deliver(index);
    }

    /// <inheritdoc/>
    public void StopQueue(int index)
    {
        // Buffers are worked on under the queue's gate only; the one that waits is the driver's again.
        if (index != ConsoleSpec.ControlTransmitQueue && ConsoleSpec.IsTransmit(index)) _unsent[ConsoleSpec.PortOf(index)] = default;
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_lock) _state = new ConsoleState(_ports.Length);
        Array.Clear(_unsent);
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio console", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_lock) Exchange(fields, _sizes);
    }

    /// <inheritdoc/>
    /// <remarks>Terminals and connections are the host's: where they are not as the driver was told last, it is told.</remarks>
    public void Load(SavedFields fields)
    {
        var told = new (ushort Columns, ushort Rows)[_ports.Length];
        bool configuration;
        lock (_lock)
        {
            Exchange(fields, told);
            var features = _host!.ActiveFeatures;
            (_state.Active, _state.Multiport) = (features is not null, ((features ?? 0) & ConsoleSpec.FeatureMultiport) != 0);
            for (var i = 0; i < _ports.Length; i++) LoadPort(ref _state.Ports[i], i, told[i]);
            configuration = _sizes[0] != told[0];
            if (configuration) _generation++;
        }
        if (configuration) _host.ConfigurationChanged();
    }

    private List<VirtioQueueSpec> MakeQueues()
    {
        // One worker for all: a port that is written to without end must not keep its own input from the guest for long,
        // and does not, since every queue has its turn.
        var queues = new List<VirtioQueueSpec> { new(ConsoleSpec.DataQueueSize), new(ConsoleSpec.DataQueueSize) };
        if (!_offersMultiport) return queues;
        queues.AddRange([new(ConsoleSpec.ControlQueueSize), new(ConsoleSpec.ControlQueueSize)]);
        for (var i = 1; i < _ports.Length; i++) queues.AddRange([new(ConsoleSpec.DataQueueSize), new(ConsoleSpec.DataQueueSize)]);
        return queues;
    }

    private bool Transmit(int index)
    {
        var queue = _host!.Queues[index];
        ref var unsent = ref _unsent[ConsoleSpec.PortOf(index)];
        var backend = _ports[ConsoleSpec.PortOf(index)].Backend;
        for (var i = 0; i < ConsoleSpec.BuffersAtOnce; i++)
        {
            if (queue.IsPaused) return false;
            if (unsent.Chain is null)
            {
                if (!queue.TryTake(out var taken)) return false;
                // More than nothing is done of it where a machine went on that was saved in the middle of it.
                unsent = (taken, unsent.Done);
            }
            // The backend copies; a piece at a time, so that a reset need not wait for gigabytes.
            while (queue.IsLive && unsent.Chain.TryGetReadable(unsent.Done, ConsoleSpec.InputBufferLength, out var piece))
            {
                var sent = backend.Write(piece);
                unsent.Done += (ulong)sent;
                // The backend calls when it takes more.
                if (sent < piece.Length) return false;
            }
            queue.Complete(unsent.Chain, 0);
            unsent = default;
        }
        return true;
    }

    private bool Deliver(int index)
    {
        var queue = _host!.Queues[index];
        var port = ConsoleSpec.PortOf(index);
        for (var i = 0; i < ConsoleSpec.BuffersAtOnce; i++)
        {
            // Only this queue's turn takes input away, so what is seen here stays there.
            if (!HasInput(port) || !queue.TryTake(out var chain)) return false;
            var piece = TakeInput(port, (int)Math.Min(chain.WritableLength, ConsoleSpec.InputBufferLength));
            queue.Complete(chain, (uint)chain.Write(0, piece));
        }
        return true;
    }

    private bool HasInput(int port)
    {
        lock (_lock) return _state.Ports[port].InputLength != 0;
    }

    private ReadOnlySpan<byte> TakeInput(int port, int limit)
    {
        lock (_lock)
        {
            ref var state = ref _state.Ports[port];
            var length = Math.Min(limit, state.InputLength);
            for (var i = 0; i < length; i++) _scratch[i] = state.Input[(state.InputStart + i) % state.Input.Length];
            state.InputStart = (state.InputStart + length) % state.Input.Length;
            state.InputLength -= length;
            if (length != 0 && state.BackendWaits)
            {
                state.BackendWaits = false;
                _ports[port].Backend.ReadyToReceive();
            }
            return _scratch.AsSpan(0, length);
        }
    }

    private int Receive(int port, ReadOnlySpan<byte> data)
    {
        int taken;
        lock (_lock)
        {
            ref var state = ref _state.Ports[port];
            taken = _state.Active && state.Open && !_paused ? Math.Min(data.Length, state.Input.Length - state.InputLength) : 0;
            for (var i = 0; i < taken; i++) state.Input[(state.InputStart + state.InputLength + i) % state.Input.Length] = data[i];
            state.InputLength += taken;
            state.BackendWaits |= taken < data.Length;
        }
        if (taken != 0) _host!.WakeQueue(ConsoleSpec.ReceiveQueue(port));
        return taken;
    }

    private void Owe(int port, OwedMessages messages)
    {
        lock (_lock)
        {
            if (_state.Ports[port].Ready) _state.Ports[port].Owed |= messages;
        }
        WakeControl();
    }

    private void WakeControl()
    {
        if (_offersMultiport) _host?.WakeQueue(ConsoleSpec.ControlReceiveQueue);
    }

    private bool SendControl()
    {
        var queue = _host!.Queues[ConsoleSpec.ControlReceiveQueue];
        while (IsOwed() && queue.TryTake(out var chain))
        {
            var message = _scratch.AsSpan(0, NextMessage(_scratch));
            queue.Complete(chain, (uint)chain.Write(0, message));
        }
        return false;
    }

    private bool IsOwed()
    {
        lock (_lock) return _state.Multiport && _state.Ports.Any(port => port.Owed != OwedMessages.None);
    }

    // The first message owed, in the order in which a driver can understand them. Its length.
    private int NextMessage(Span<byte> message)
    {
        lock (_lock)
        {
            var port = Array.FindIndex(_state.Ports, state => state.Owed != OwedMessages.None);
            // Gone only where a reset came between; the queue is not live any more then and the message goes nowhere.
            if (port < 0) return 0;
            ref var owed = ref _state.Ports[port].Owed;
            var next = (OwedMessages)(1 << System.Numerics.BitOperations.TrailingZeroCount((byte)owed));
            owed &= ~next;
            if (next == OwedMessages.Open) _state.Ports[port].ToldConnected = IsConnected(port);
            return next switch
            {
                OwedMessages.Add => Message(message, port, ConsoleEvent.DeviceAdd, 1),
                OwedMessages.Console => Message(message, port, ConsoleEvent.ConsolePort, 1),
                OwedMessages.Name => Message(message, port, ConsoleEvent.PortName, 1, _names[port]),
                OwedMessages.Open => Message(message, port, ConsoleEvent.PortOpen, _state.Ports[port].ToldConnected ? (ushort)1 : (ushort)0),
                _ => ResizeMessage(message, port),
            };
        }
    }

    private void Exchange(SavedFields fields, (ushort Columns, ushort Rows)[] sizes)
    {
        fields.Value(1, ref _generation);
        fields.Records(2, _state.Ports, ConsolePortState.Exchange);
        fields.Records(3, sizes, static (SavedFields fields, ref (ushort Columns, ushort Rows) size) =>
        {
            fields.Value(1, ref size.Columns);
            fields.Value(2, ref size.Rows);
        });
        var done = Array.ConvertAll(_unsent, unsent => unsent.Done);
        fields.Values(4, done);
        for (var i = 0; i < done.Length; i++) _unsent[i].Done = done[i];
    }

    private void LoadPort(ref ConsolePortState state, int port, (ushort Columns, ushort Rows) told)
    {
        // What the backend had is another's now, or was refused so far.
        state.BackendWaits = true;
        // A size that nobody has told yet may come later.
        if (_sizes[port] == default) _sizes[port] = told;
        if (!state.Ready) return;
        if (_ports[port].IsConsole && _sizes[port] != told) state.Owed |= OwedMessages.Resize;
        if (IsConnected(port) != state.ToldConnected) state.Owed |= OwedMessages.Open;
    }

    private bool IsConnected(int port) => _ports[port].Backend is not ICharConnection connection || connection.IsConnected;

    private static int Message(Span<byte> message, int port, ConsoleEvent kind, ushort value, ReadOnlySpan<byte> rest = default)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(message, (uint)port);
        BinaryPrimitives.WriteUInt16LittleEndian(message[4..], (ushort)kind);
        BinaryPrimitives.WriteUInt16LittleEndian(message[6..], value);
        rest.CopyTo(message[ConsoleSpec.ControlLength..]);
        return ConsoleSpec.ControlLength + rest.Length;
    }

    // 5.3.6.2. Linux up to 6.14 takes the two numbers the other way round, later ones and the stable kernels of 2026 as
    // they stand here; a device with one port only tells its size by the configuration space, which all read alike.
    private int ResizeMessage(Span<byte> message, int port)
    {
        Span<byte> size = stackalloc byte[4];
        BinaryPrimitives.WriteUInt16LittleEndian(size, _sizes[port].Columns);
        BinaryPrimitives.WriteUInt16LittleEndian(size[2..], _sizes[port].Rows);
        return Message(message, port, ConsoleEvent.Resize, 0, size);
    }

    private bool ReceiveControl()
    {
        var queue = _host!.Queues[ConsoleSpec.ControlTransmitQueue];
        Span<byte> message = stackalloc byte[ConsoleSpec.ControlLength];
        for (var i = 0; i < ConsoleSpec.BuffersAtOnce; i++)
        {
            if (!queue.TryTake(out var chain)) return false;
            if (chain.Read(0, message) == message.Length)
                HandleControl(BinaryPrimitives.ReadUInt32LittleEndian(message), (ConsoleEvent)BinaryPrimitives.ReadUInt16LittleEndian(message[4..]),
                    BinaryPrimitives.ReadUInt16LittleEndian(message[6..]));
            queue.Complete(chain, 0);
        }
        return true;
    }

    // A message that makes no sense is ignored, as is one that tells of a failure: the guest then does without the port.
    private void HandleControl(uint id, ConsoleEvent kind, ushort value)
    {
        lock (_lock)
        {
            if (kind == ConsoleEvent.DeviceReady && value == 1)
            {
                foreach (ref var port in _state.Ports.AsSpan())
                {
                    port.Owed |= port.Added ? OwedMessages.None : OwedMessages.Add;
                    port.Added = true;
                }
            }
            else if (id < _ports.Length && _state.Ports[id].Added)
            {
                ref var port = ref _state.Ports[id];
                if (kind == ConsoleEvent.PortReady && value == 1)
                {
                    port.Ready = true;
                    port.Owed |= WelcomeMessages((int)id);
                }
                else if (kind == ConsoleEvent.PortOpen)
                {
                    port.Open = value != 0;
                    if (port.Open) _ports[id].Backend.ReadyToReceive();
                }
            }
        }
        WakeControl();
    }

    private OwedMessages WelcomeMessages(int port) =>
        OwedMessages.Open
        | (_ports[port].IsConsole ? OwedMessages.Console : OwedMessages.None)
        | (_ports[port].IsConsole && _sizes[port] != default ? OwedMessages.Resize : OwedMessages.None)
        | (_names[port].Length != 0 ? OwedMessages.Name : OwedMessages.None);

    private sealed class Receiver(VirtioConsole console, int port) : ICharReceiver
    {
        public int Receive(ReadOnlySpan<byte> data) => console.Receive(port, data);

        public void ReadyToSend() => console._host!.WakeQueue(ConsoleSpec.TransmitQueue(port));
    }
}
