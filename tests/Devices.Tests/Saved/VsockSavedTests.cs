// The socket device as a machine is saved and loaded: what becomes of connections, and what its driver is told.
using Lamina.Core.Memory;
using Lamina.Core.Sockets;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Vsock;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

// Connections are not kept, so that the contract is tried with none: two were refused, and the guest does not know
// yet; a third packet was not told of.
public abstract class VsockSavedTests(bool packed) : VirtioSavedTests(packed, 3, 0)
{
    private const uint Cid = 5;

    private sealed class Sockets : ISocketHost
    {
        public ISocketGuest Guest { get; private set; } = null!;

        public void Attach(ISocketGuest guest) => Guest = guest;

        public IHostStream? Connect(uint port) => port == 80 ? new SilentStream() : null;
    }

    private protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host)
    {
        var sockets = new Sockets();
        host = sockets;
        return new VirtioVsock(Cid, sockets);
    }

    private protected override void Disturb(Bench bench)
    {
        Request(bench, 1000, 81);
        Request(bench, 1001, 82);
        var raw = new byte[VsockSpec.HeaderLength];
        Assert.True(bench.Guest.Memory.TryRead(Data, raw));
        Store(bench, Data + 0x100, raw);
        bench.Rings[1].Offer(new Part(Data + 0x100, VsockSpec.HeaderLength));
    }

    private protected override void GoOn(Bench bench)
    {
        bench.Guest.Transport.Resume();
        for (ulong i = 0; i < 6; i++) bench.Rings[0].Offer(new Part(Input + i * 64, 64, true));
        bench.Guest.Notify(0);
    }

    private protected override string Seen(Bench bench) => "";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Connections_end_when_a_machine_is_loaded_and_the_driver_is_told_even_if_it_gives_room_for_that_later(bool later)
    {
        var bench = Loaded(_ => { }, bench =>
        {
            if (!later) bench.Rings[2].Offer(new Part(Data + 0x800, 8, true));
            Request(bench, 2000, 80);
            Assert.True(((Sockets)bench.Host).Guest.Connect(22, new SilentStream()));
        });

        GoOn(bench);
        bench.Run();
        if (later) bench.Rings[2].Offer(new Part(Data + 0x800, 8, true));
        bench.Guest.Notify(2);

        Assert.Equal(4u, bench.Rings[2].TakeUsed()!.Value.Length);
        Assert.Equal(0u, bench.Guest.Load<uint>(Data + 0x800));
        var resets = Enumerable.Range(0, 6).Select(i =>
        {
            var raw = new byte[VsockSpec.HeaderLength];
            Assert.True(bench.Guest.Memory.TryRead(Input + (ulong)i * 64, raw));
            return VsockHeader.Read(raw);
        }).Where(header => header.Operation == VsockOperation.Reset).Select(header => header.DestinationPort);
        Assert.Equal([22u, 1000u, 1001u, 1001u, 2000u], resets.Order());
        // Once, and what is new is as on a fresh device.
        bench.Rings[2].Offer(new Part(Data + 0x800, 8, true));
        bench.Guest.Notify(2);
        Assert.Null(bench.Rings[2].TakeUsed());
        Assert.True(((Sockets)bench.Host).Guest.Connect(23, new SilentStream()));
    }

    [Fact]
    public void No_connection_is_begun_before_the_driver_has_seen_that_the_transport_was_reset()
    {
        var bench = Loaded(_ => { }, bench => bench.Rings[2].Offer(new Part(Data + 0x800, 8, true)));

        GoOn(bench);
        bench.Run();
        Assert.NotNull(bench.Rings[2].TakeUsed());
        Assert.True(((Sockets)bench.Host).Guest.Connect(23, new SilentStream()));
        bench.Run();
        Assert.DoesNotContain(VsockOperation.Request, Given());
        Request(bench, 2000, 80);
        Assert.DoesNotContain(VsockOperation.Response, Given());

        // With the buffer that it was told by, given back, it says so.
        bench.Rings[2].Offer(new Part(Data + 0x800, 8, true));
        bench.Guest.Notify(2);
        bench.Run();
        Assert.Contains(VsockOperation.Request, Given());

        IEnumerable<VsockOperation> Given() => Enumerable.Range(0, 6).Select(i =>
        {
            var raw = new byte[VsockSpec.HeaderLength];
            Assert.True(bench.Guest.Memory.TryRead(Input + (ulong)i * 64, raw));
            return VsockHeader.Read(raw).Operation;
        });
    }

    private static void Request(Bench bench, uint from, uint to)
    {
        var raw = new byte[VsockSpec.HeaderLength];
        new VsockHeader(Cid, VsockSpec.HostCid, from, to, 0, VsockSpec.TypeStream, VsockOperation.Request, 0, 65536, 0).Write(raw);
        Store(bench, Data, raw);
        bench.Rings[1].Offer(new Part(Data, VsockSpec.HeaderLength));
        bench.Guest.Notify(1);
    }
}

public sealed class SplitVsockSavedTests() : VsockSavedTests(false);

public sealed class PackedVsockSavedTests() : VsockSavedTests(true);
