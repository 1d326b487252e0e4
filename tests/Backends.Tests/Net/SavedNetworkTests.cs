// A user-mode network in a machine's saved state: the guest learns that its connections are gone, and nothing else changes for it.
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.User.Transport;
using Lamina.Backends.Net.Wire;
using Lamina.Core.State;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class SavedNetworkTests : IDisposable
{
    private readonly UserLab _lab = new(), _other = new();
    private readonly HostServer _server = new();

    public void Dispose()
    {
        _lab.Dispose();
        _other.Dispose();
        _server.Dispose();
    }

    private static byte[] Save(UserLab lab) => SavedFields.Write(1, lab.Stack.Exchange);

    private static void Load(UserLab lab, byte[] saved) => SavedFields.Read(saved, 1, lab.Stack.Exchange);

    private static (ushort To, byte Flags, uint Sequence)[] Resets(UserLab lab) =>
        [.. lab.Card.Frames.Where(frame => frame.IsTcp).Select(frame => TcpSegment.TryRead(frame.Payload, out var segment) ? (segment.DestinationPort, segment.Flags, segment.Sequence) : default)];

    [Fact]
    public void The_guest_is_told_of_each_connection_that_it_is_gone()
    {
        var first = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var one = _server.Accept();
        var second = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port, from: 40001);
        using var two = _server.Accept();
        one.Send("a few bytes"u8);
        first.ReceiveAll(11);
        var saved = Save(_lab);

        Load(_other, saved);
        Assert.Empty(_other.Card.Frames);
        _other.Stack.RunTimers();

        var told = Resets(_other);
        Assert.Equal(2, told.Length);
        Assert.All(told, reset => Assert.Equal(Tcp.Rst, reset.Flags));
        Assert.Equal([first.Expected, second.Expected], told.Select(reset => reset.Sequence));
        Assert.All(_other.Card.Frames, frame => Assert.Equal((UserLab.Gateway, UserLab.Guest), (frame.Source, frame.Destination)));
    }

    [Fact]
    public void Those_that_it_could_not_be_told_of_yet_are_told_later_and_saved_again()
    {
        for (var n = 0; n < 5; n++)
        {
            TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port, from: (ushort)(40000 + n));
        }
        _other.Card.Room = 2;

        Load(_other, Save(_lab));
        _other.Stack.RunTimers();
        Assert.Equal(2, Resets(_other).Length);
        var again = Save(_other);
        _other.Card.Room = int.MaxValue;
        _other.Stack.Resume();

        Assert.Equal(5, Resets(_other).Length);
        using var third = new UserLab();
        Load(third, again);
        third.Stack.RunTimers();
        Assert.Equal(3, Resets(third).Length);
    }

    [Fact]
    public void A_state_that_cannot_be_is_refused()
    {
        TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        var saved = Save(_lab);
        for (var length = 1; length < saved.Length; length++)
        {
            using var lab = new UserLab();
            var part = saved[..length];
            try
            {
                Load(lab, part);
            }
            catch (StateException)
            {
                continue;
            }
            // What ends between two fields is a state of fewer connections.
            lab.Stack.RunTimers();
            Assert.Empty(Resets(lab));
        }
        var random = new Random(5);
        for (var round = 0; round < 2000; round++)
        {
            var damaged = (byte[])saved.Clone();
            damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            using var lab = new UserLab();
            try
            {
                Load(lab, damaged);
            }
            catch (StateException)
            {
                continue;
            }
            lab.Stack.RunTimers();
        }
    }
}
