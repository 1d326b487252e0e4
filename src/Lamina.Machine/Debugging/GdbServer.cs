// The debugger's server: listens on 127.0.0.1, serves one GDB after another. Before the first one says "continue" the guest
// executes nothing; when one goes away, in good order or not, breakpoints go with it and the guest runs on.
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Lamina.Life;

namespace Lamina.Debugging;

/// <summary>Serves GDB's remote protocol.</summary>
internal sealed class GdbServer : IDebugExits
{
    private readonly TcpListener _listener;
    private readonly GdbTarget _target;
    private readonly GdbArchitecture _architecture;
    private readonly CancellationTokenSource _ended = new();
    private volatile ChannelWriter<GdbEvent>? _session;

    private GdbServer(TcpListener listener, MachineLife life, GdbArchitecture architecture)
    {
        _listener = listener;
        _target = new GdbTarget(life);
        _architecture = architecture;
        Port = ((IPEndPoint)listener.LocalEndpoint).Port;
        life.Debugger = this;
        _ = ServeAsync();
        Closed = CloseAfterAsync(life.Result);
    }

    /// <summary>The port that it listens on.</summary>
    internal int Port { get; }

    /// <summary>Completes when the machine has ended and the port has been given back.</summary>
    internal Task Closed { get; }

    /// <summary>Listens for debuggers of a machine whose vCPUs are held from the start.</summary>
    /// <param name="port">Where; 0 picks a free one.</param>
    /// <param name="life">The machine's life.</param>
    /// <param name="architecture">What each debugger is told that the vCPUs are.</param>
    /// <exception cref="MachineException">The port cannot be had.</exception>
    internal static GdbServer Listen(int port, MachineLife life, GdbArchitecture architecture)
    {
        var listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            listener.Start(1);
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw new MachineException(MachineError.Busy, $"port {port} on 127.0.0.1 cannot be used for the debugger ({e.Message}); choose another one", e);
        }
        life.HoldForDebugger();
        return new GdbServer(listener, life, architecture);
    }

    void IDebugExits.Stopped(int vcpu) => _session?.TryWrite(new GdbEvent.Stopped(vcpu));

    private async Task CloseAfterAsync(Task end)
    {
        await end.ConfigureAwait(false);
        _session?.TryWrite(new GdbEvent.Ended());
        _listener.Dispose();
        await _ended.CancelAsync().ConfigureAwait(false);
    }

    private async Task ServeAsync()
    {
        while (!_ended.IsCancellationRequested)
        {
            try
            {
                using var client = await _listener.AcceptTcpClientAsync(_ended.Token).ConfigureAwait(false);
                client.NoDelay = true;
                await ServeAsync(client).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException or OperationCanceledException)
            {
                // That debugger is gone, or the machine is; the loop's condition tells which.
            }
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        var events = Channel.CreateUnbounded<GdbEvent>(new UnboundedChannelOptions { SingleReader = true });
        var stream = client.GetStream();
        _session = events.Writer;
        if (_ended.IsCancellationRequested) return;
        var reading = ReadAsync(stream, events.Writer);
        try
        {
            await new GdbSession(_target, stream, _architecture).RunAsync(events.Reader).ConfigureAwait(false);
        }
        finally
        {
            _session = null;
            client.Close();
            await reading.ConfigureAwait(false);
            try
            {
                await _target.DetachAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is MachineException or ObjectDisposedException)
            {
                // The machine has ended; there is nothing to let go of.
            }
        }
    }

    // Never fails: whatever ends the stream is the end of the session.
    private static async Task ReadAsync(NetworkStream stream, ChannelWriter<GdbEvent> events)
    {
        var packets = new GdbPackets();
        var buffer = new byte[4096];
        try
        {
            int count;
            while ((count = await stream.ReadAsync(buffer).ConfigureAwait(false)) != 0)
                for (var i = 0; i < count; i++)
                    if (packets.Take(buffer[i]) is { } input) events.TryWrite(new GdbEvent.Input(input.Kind, input.Data));
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or SocketException)
        {
            // Said below.
        }
        events.TryWrite(new GdbEvent.Closed());
    }
}

/// <summary>What a session waits for.</summary>
internal abstract record GdbEvent
{
    private GdbEvent()
    {
    }

    /// <summary>GDB sent something.</summary>
    internal sealed record Input(GdbInput Kind, byte[] Data) : GdbEvent;

    /// <summary>A vCPU stopped by itself.</summary>
    internal sealed record Stopped(int Vcpu) : GdbEvent;

    /// <summary>The machine ended.</summary>
    internal sealed record Ended : GdbEvent;

    /// <summary>The connection ended.</summary>
    internal sealed record Closed : GdbEvent;
}
