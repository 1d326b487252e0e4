// Tap interfaces of the host's. What makes one needs root; what is said to those who may not does not.
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using Lamina.Backends.Net.Tap;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Logging;
using Lamina.Core.Net;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class TapTests
{
    private sealed class Card : INetReceiver
    {
        public BlockingCollection<byte[]> Frames { get; } = [];

        public NetOffloads Offloads => NetOffloads.None;

        public bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload)
        {
            Frames.Add(frame.ToArray());
            return true;
        }
    }

    private static TapBackend Open(string? name, string? bridge)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess && File.Exists("/dev/net/tun"), "tap interfaces need root and /dev/net/tun");
        try
        {
            return new TapBackend(name, bridge);
        }
        catch (HostException refused) when (refused.Message.Contains("without privilege", StringComparison.Ordinal))
        {
            Assert.Skip($"this host makes no tap interfaces, not even for root: {refused.Message}");
            throw;
        }
    }

    private static void Ip(params string[] words)
    {
        var tool = new[] { "/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip" }.FirstOrDefault(File.Exists);
        Assert.SkipWhen(tool is null, "ip (iproute2) is not installed on this host");
        using var process = Process.Start(tool!, words);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public void The_hosts_kernel_answers_through_an_interface_of_ours()
    {
        var card = new Card();
        string name;
        using (var tap = Open(null, null))
        {
            name = tap.Name;
            tap.Attach(card);
            tap.Start();
            Ip("address", "add", "198.18.213.1/30", "dev", name);
            byte[] question = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0xa, 198, 18, 213, 2, 0, 0, 0, 0, 0, 0, 198, 18, 213, 1];
            var frame = new byte[60];
            GuestLink.WriteMac(frame, Ethernet.Broadcast);
            GuestLink.WriteMac(frame.AsSpan(6), 0x0200_0000_000a);
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), Ethernet.Arp);
            question.CopyTo(frame, 14);

            tap.Send(frame, default);

            Waiting.Until(() => card.Frames.TryTake(out var answer, 1000) && answer[12] == 8 && answer[13] == 6 && answer[21] == 2 && answer[31] == 1);
            Assert.Equal(1500, tap.Mtu);
            Assert.True(Directory.Exists($"/sys/class/net/{name}"));
        }

        // What was made goes with the machine.
        Assert.False(Directory.Exists($"/sys/class/net/{name}"));
    }

    [Fact]
    public void An_interface_that_is_removed_is_told_of_and_takes_the_link_with_it()
    {
        using var tap = Open(null, null);
        using BlockingCollection<string> said = [];
        tap.Log = Log.To(line => said.Add(line.Message), LogLevel.Trace).CreateLog("test");
        tap.Attach(new Card());
        tap.Start();
        Assert.True(tap.IsLinkUp);

        Ip("link", "delete", tap.Name);

        Assert.True(said.TryTake(out var sentence, TimeSpan.FromMinutes(1)));
        Assert.Contains($"the tap interface {tap.Name} is gone", sentence, StringComparison.Ordinal);
        Assert.False(tap.IsLinkUp);
    }

    [Fact]
    public void An_interface_in_use_is_told_of()
    {
        using var first = Open("lamtest0", null);

        Assert.Contains("is in use by another program", Assert.Throws<HostException>(() => new TapBackend("lamtest0", null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_interface_of_another_kind_is_told_of()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess && File.Exists("/dev/net/tun"), "tap interfaces need root and /dev/net/tun");

        Assert.Contains("is no tap interface", Assert.Throws<HostException>(() => new TapBackend("lo", null)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nobridge0", "there is no bridge nobridge0")]
    [InlineData("lo", "is no bridge")]
    public void A_bridge_that_is_none_is_told_of(string bridge, string sentence)
    {
        using (Open(null, null))
        {
            Assert.Contains(sentence, Assert.Throws<HostException>(() => new TapBackend(null, bridge)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("a name")]
    [InlineData("../../etc")]
    [InlineData("sixteencharacter")]
    [InlineData("tap%d")]
    [InlineData(".")]
    public void Names_that_no_interface_can_have_are_refused(string name) =>
        Assert.Contains("cannot be the name of an interface", Assert.Throws<HostException>(() => new TapBackend(name, null)).Message, StringComparison.Ordinal);
}
