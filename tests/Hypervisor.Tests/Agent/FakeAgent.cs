// The guest's end of a connection to an agent, in the test's hands: says what a test wants said, and tells what the host said.
using System.Buffers.Binary;
using System.Net.Sockets;
using Lamina.Hypervisor.Agent;
using Xunit;

namespace Lamina.Tests.Hypervisor.Agent;

internal sealed class FakeAgent : IDisposable
{
    private readonly Socket _guest;

    private FakeAgent(Socket guest, Stream host) => (_guest, Host) = (guest, host);

    /// <summary>The host's end.</summary>
    internal Stream Host { get; }

    /// <summary>The guest's end, as a stream.</summary>
    internal Stream Guest => new NetworkStream(_guest);

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
        return new FakeAgent(guest, new NetworkStream(host, ownsSocket: true));
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
}
