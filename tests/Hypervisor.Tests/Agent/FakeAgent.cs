// The guest's end of a connection to an agent, in the test's hands: says what a test wants said, and tells what the host said.
using System.Buffers.Binary;
using System.Net.Sockets;
using Lamina.Hypervisor.Agent;
using Xunit;

namespace Lamina.Tests.Hypervisor.Agent;

internal sealed class FakeAgent : IDisposable
{
    // A host that does not read makes a test fail that speaks to it.
    private static readonly TimeSpan LongestSend = TimeSpan.FromMinutes(5);

    private readonly Socket _guest;
    private readonly CountedStream _guestStream, _hostStream;

    private FakeAgent(Socket guest, Socket host)
    {
        guest.SendTimeout = (int)LongestSend.TotalMilliseconds;
        (_guest, _guestStream, _hostStream) = (guest, new CountedStream(guest), new CountedStream(host));
    }

    /// <summary>The host's end.</summary>
    internal Stream Host => _hostStream;

    /// <summary>The guest's end, as a stream.</summary>
    internal Stream Guest => _guestStream;

    internal static FakeAgent Create()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var host = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        host.Connect(new UnixDomainSocketEndPoint(path));
        var guest = listener.Accept();
        File.Delete(path);
        return new FakeAgent(guest, host);
    }

    /// <summary>An agent that has greeted, and the host's connection to it.</summary>
    internal static async Task<(FakeAgent Agent, AgentConnection Connection)> GreetedAsync()
    {
        var agent = Create();
        agent.Say('H', 1, 0, 0, 0);
        return (agent, await AgentConnection.OpenAsync(agent.Host, TestContext.Current.CancellationToken));
    }

    /// <summary>An agent that runs a command.</summary>
    internal static async Task<(FakeAgent Agent, AgentProcess Process)> RunningAsync()
    {
        var (agent, connection) = await GreetedAsync();
        agent.Say('S', 7, 0, 0, 0);
        var process = await AgentProcess.StartAsync(connection, new AgentCommand { Words = ["x"] }, TestContext.Current.CancellationToken);
        Assert.Equal('x', (await agent.HearAsync()).Kind);
        return (agent, process);
    }

    internal void Say(char kind, params byte[] payload) => Say(kind, payload.Length, payload);

    /// <summary>Says a frame whose length may be a lie.</summary>
    internal void Say(char kind, int length, byte[] payload)
    {
        var frame = new byte[4 + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, kind | (uint)length << 8);
        payload.CopyTo(frame, 4);
        _guest.Send(frame);
    }

    internal async Task<(char Kind, byte[] Payload)> HearAsync()
    {
        var head = await ReadAsync(4);
        var value = BinaryPrimitives.ReadUInt32LittleEndian(head);
        return ((char)(value & 0xff), await ReadAsync((int)(value >> 8)));
    }

    /// <summary>Waits until whoever reads the guest's end as a stream is through with all that the host has said so far: what comes behind it is asked for.</summary>
    internal Task HeededAsync() => _guestStream.WhenAskedBehind(_hostStream.Written).WaitAsync(TestContext.Current.CancellationToken);

    internal void HangUp() => _guest.Dispose();

    public void Dispose()
    {
        _guest.Dispose();
        Host.Dispose();
    }

    private async Task<byte[]> ReadAsync(int length)
    {
        var bytes = new byte[length];
        for (var have = 0; have < length;)
        {
            var count = await _guest.ReceiveAsync(bytes.AsMemory(have), TestContext.Current.CancellationToken);
            Assert.NotEqual(0, count);
            have += count;
        }
        return bytes;
    }

    // Knows how much went out, and from where on was asked for what comes in.
    private sealed class CountedStream(Socket socket) : NetworkStream(socket, ownsSocket: true)
    {
        private readonly Lock _gate = new();
        private long _written, _read, _asked, _awaited;
        private TaskCompletionSource? _reached;

        internal long Written => Volatile.Read(ref _written);

        internal Task WhenAskedBehind(long position)
        {
            lock (_gate)
            {
                if (_asked >= position) return Task.CompletedTask;
                (_awaited, _reached) = (position, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                return _reached.Task;
            }
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            lock (_gate)
            {
                _asked = _read;
                if (_asked >= _awaited) _reached?.TrySetResult();
            }
            var count = await base.ReadAsync(buffer, cancellationToken);
            lock (_gate) _read += count;
            return count;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await base.WriteAsync(buffer, cancellationToken);
            Interlocked.Add(ref _written, buffer.Length);
        }
    }
}
