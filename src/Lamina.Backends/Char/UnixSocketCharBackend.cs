// A character device at a Unix socket: one client at a time talks to the guest; others wait in line. What the guest
// prints while nobody is connected is kept, the latest first to stay, and given to the next client; while one is, the guest prints
// no faster than it reads.
// What a client sent stays for the guest when the client goes, up to the room there is; so a command can be piped in.
// One thread does everything: it waits for the listener or the client, and for a wake-up.
using System.Net.Sockets;
using Lamina.Backends.Work;
using Lamina.Core.Char;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Char;

/// <summary>Listens at a path for clients such as socat or a terminal program.</summary>
public sealed class UnixSocketCharBackend : ICharBackend, ICharConnection, IListener
{
    private const int Capacity = 64 * 1024, RetryMilliseconds = 50;

    private readonly string _path;
    private readonly Socket _listener;
    private readonly SocketFile _file;
    private readonly OutputOptions _options;
    private readonly OutputQueue _output;
    private readonly InputQueue _input = new(Capacity);
    private readonly byte[] _buffer = new byte[HostIo.AtomicPipeWrite];
    private readonly EventDescriptor _wake = new();
    private readonly Thread _thread;
    private volatile ICharReceiver? _receiver;
    private volatile Socket? _client;
    private volatile bool _stopping;
    private volatile bool _abandoned;
    private bool _disposed;

    /// <summary>Listens, replacing a socket that a process left behind; the socket is for its owner alone.</summary>
    /// <param name="path">Where the socket is made.</param>
    /// <param name="options">What happens where a client takes nothing; by default the guest is held back.</param>
    /// <exception cref="HostException">The path is in use, cannot be created, or is too long for a socket.</exception>
    public UnixSocketCharBackend(string path, OutputOptions? options = null)
    {
        _path = Path.GetFullPath(path);
        _options = options ?? new OutputOptions();
        _output = new OutputQueue(Capacity, () => _receiver?.ReadyToSend());
        _listener = Listen(_path);
        _file = new SocketFile(_path);
        _output.SetWhenFull(WhenFull.DropOldest);
        _thread = Guard.Thread("char-unix", Run, _options.Failed);
        _thread.Start();
        AppDomain.CurrentDomain.ProcessExit += OnExit;
    }

    /// <inheritdoc/>
    public event Action? ConnectionChanged;

    /// <inheritdoc/>
    public bool IsConnected => _client is not null;

    /// <inheritdoc/>
    public long Lost => _output.Lost;

    /// <inheritdoc/>
    SocketFile? IListener.Socket => _stopping ? null : _file;

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> data)
    {
        var taken = _output.Write(data, out var metEmpty);
        if (metEmpty && _client is not null) _wake.Set();
        return taken;
    }

    /// <inheritdoc/>
    public void Attach(ICharReceiver receiver)
    {
        _receiver = receiver;
        _wake.Set();
    }

    /// <inheritdoc/>
    public void ReadyToReceive() => _wake.Set();

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        AppDomain.CurrentDomain.ProcessExit -= OnExit;
        Stop(isExit: false);
        _listener.Dispose();
        _wake.Dispose();
    }

    private static Socket Listen(string path)
    {
        SocketFile.Check(path);
        var endpoint = new UnixDomainSocketEndPoint(path);
        SocketFile.RemoveStale(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            listener.Bind(endpoint);
            // Nobody can connect before it listens, so nobody slips in before the mode is right.
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            listener.Listen(1);
            return listener;
        }
        catch (Exception failure) when (failure is SocketException or IOException or UnauthorizedAccessException)
        {
            listener.Dispose();
            throw new HostException($"cannot listen at the socket {path}: {failure.Message}", failure);
        }
    }

    private void OnExit(object? sender, EventArgs e) => Stop(isExit: true);

    // What is left is sent to a client that still takes it; the socket's file goes.
    private void Stop(bool isExit)
    {
        _stopping = true;
        _output.Close();
        _wake.Set();
        if (Thread.CurrentThread == _thread) return;
        var progress = new Progress(_output, _options);
        while (!_thread.Join(OutputPump.LookMilliseconds))
        {
            if (!progress.HasStopped(isExit || _options.IsHurried())) continue;
            _abandoned = true;
            _wake.Set();
        }
        _file.Delete();
    }

    private void Run()
    {
        while (!_stopping)
        {
            _input.Deliver(_receiver);
            var (ready, woken) = HostIo.Wait((Descriptor(_listener), HostPoll.Readable), (_wake.Descriptor, HostPoll.Readable), -1);
            if (woken != HostPoll.None) _wake.Clear();
            if (ready == HostPoll.None || _stopping) continue;
            using var client = Accept();
            if (client is not null) Serve(client);
            else _ = HostIo.Wait((_wake.Descriptor, HostPoll.Readable), (-1, HostPoll.None), RetryMilliseconds);
        }
    }

    private Socket? Accept()
    {
        try
        {
            var client = _listener.Accept();
            client.Blocking = false;
            return client;
        }
        catch (SocketException)
        {
            // It was gone before it was answered; or no descriptor is left, and it is let in later.
            return null;
        }
    }

    private void Serve(Socket client)
    {
        SetClient(client);
        var descriptor = Descriptor(client);
        var progress = new Progress(_output, _options);
        while (!_stopping || (!_output.IsEmpty && !_abandoned))
        {
            _input.Deliver(_receiver);
            var wanted = (_input.Room != 0 && !_stopping ? HostPoll.Readable : HostPoll.None) | (_output.IsEmpty ? HostPoll.None : HostPoll.Writable);
            var (ready, woken) = HostIo.Wait((descriptor, wanted), (_wake.Descriptor, HostPoll.Readable), _output.IsEmpty ? -1 : RetryMilliseconds);
            if (woken != HostPoll.None) _wake.Clear();
            // A guest that is asked to end must be able to say what it has to say.
            if (ready == HostPoll.None && _options.IsHurried() && progress.HasStopped(isHurried: true)) _output.SetWhenFull(WhenFull.DropNewest);
            if (ready.HasFlag(HostPoll.Readable) && !Receive(descriptor)) break;
            if (ready.HasFlag(HostPoll.Writable) && !Send(descriptor)) break;
            if (ready == HostPoll.Closed) break;
        }
        if (_abandoned) _output.SetWhenFull(WhenFull.DropAll);
        SetClient(null);
    }

    private void SetClient(Socket? client)
    {
        _output.SetWhenFull(client is null ? WhenFull.DropOldest : _options.Rule);
        _client = client;
        ConnectionChanged?.Invoke();
    }

    private bool Receive(int descriptor)
    {
        var count = HostIo.Read(descriptor, _buffer.AsSpan(0, Math.Min(_buffer.Length, _input.Room)));
        if (count <= 0) return false;
        _input.Add(_buffer.AsSpan(0, count));
        return true;
    }

    private bool Send(int descriptor)
    {
        var count = _output.Peek(_buffer);
        var sent = HostIo.Write(descriptor, _buffer.AsSpan(0, count));
        _output.Remove(Math.Max(sent, 0));
        return sent >= 0;
    }

    private static int Descriptor(Socket socket) => (int)socket.SafeHandle.DangerousGetHandle();
}
