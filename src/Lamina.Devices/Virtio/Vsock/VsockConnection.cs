// One connection of the socket device: what each side has said, how much each may send (5.10.6.3), and which packet the guest
// is to get next.
using Lamina.Core.Sockets;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Vsock;

internal sealed class VsockConnection(uint guestPort, uint hostPort, IHostStream stream, bool isAsked)
{
    private uint _sent, _received, _told;
    private uint _guestBuffer, _guestForwarded;
    private bool _endTold;
    private bool _announced;
    private bool _creditAsked;
    private bool _guestTakesNoMore, _guestSendsNoMore;

    internal uint GuestPort => guestPort;

    internal uint HostPort => hostPort;

    internal IHostStream Stream => stream;

    /// <summary>Whether both sides have agreed to it.</summary>
    internal bool IsEstablished { get; private set; }

    /// <summary>What the host's end has taken of all that came, which gives the guest its credit.</summary>
    internal uint Forwarded => _received - (uint)stream.Unsent;

    private uint Credit => _guestBuffer - (_sent - _guestForwarded) is var left && left <= _guestBuffer ? left : 0;

    private bool IsFinished => (_guestTakesNoMore && _guestSendsNoMore && stream.Unsent == 0) || stream.IsBroken;

    /// <summary>Takes what every packet of the guest's says.</summary>
    internal void NoteCredit(in VsockHeader header) => (_guestBuffer, _guestForwarded) = (header.Buffer, header.Forwarded);

    /// <summary>The guest answered; false where nothing was asked.</summary>
    internal bool Answer()
    {
        if (!isAsked || IsEstablished || !_announced) return false;
        IsEstablished = true;
        stream.Accept(hostPort);
        return true;
    }

    internal void AskForCredit() => _creditAsked = true;

    /// <summary>The guest sends; false where it may not, or not so much.</summary>
    internal bool TryReceive(DescriptorChain chain, uint length, Span<byte> scratch)
    {
        if (!IsEstablished || _guestSendsNoMore || (ulong)stream.Unsent + length > VsockSpec.BufferLength) return false;
        for (uint done = 0; done < length;)
        {
            var count = chain.Read(VsockSpec.HeaderLength + (ulong)done, scratch[..(int)Math.Min((uint)scratch.Length, length - done)]);
            stream.Write(scratch[..count]);
            done += (uint)count;
        }
        _received += length;
        return true;
    }

    internal void Shutdown(uint flags)
    {
        if ((flags & VsockSpec.ShutdownReceive) != 0) _guestTakesNoMore = true;
        if ((flags & VsockSpec.ShutdownSend) == 0 || _guestSendsNoMore) return;
        _guestSendsNoMore = true;
        stream.EndWrite();
    }

    /// <summary>The next packet for the guest, if there is one.</summary>
    /// <param name="flags">Of a shutdown.</param>
    /// <returns>What it is; of data the caller takes <see cref="Take"/> at once, and after a reset the connection is over.</returns>
    internal VsockOperation? Next(out uint flags)
    {
        flags = 0;
        if (!_announced) return isAsked ? VsockOperation.Request : VsockOperation.Response;
        if (!IsEstablished) return stream.IsBroken ? VsockOperation.Reset : null;
        if (stream.Available > 0 && !_guestTakesNoMore)
        {
            if (Credit > 0) return VsockOperation.Data;
        }
        else if (IsFinished)
        {
            return VsockOperation.Reset;
        }
        else if (stream.IsAtEnd && !_endTold)
        {
            flags = VsockSpec.ShutdownSend;
            return VsockOperation.Shutdown;
        }
        return _creditAsked || Forwarded - _told >= VsockSpec.BufferLength / 2 ? VsockOperation.CreditUpdate : null;
    }

    /// <summary>A packet was given to the guest.</summary>
    internal void Gave(VsockOperation operation)
    {
        _told = Forwarded;
        _creditAsked = false;
        _announced = true;
        if (operation == VsockOperation.Response) IsEstablished = true;
        if (operation == VsockOperation.Shutdown) _endTold = true;
    }

    /// <summary>Reads data for the guest, as much as it has room for.</summary>
    internal int Take(Span<byte> into)
    {
        var count = stream.Read(into[..(int)Math.Min((uint)into.Length, Credit)]);
        _sent += (uint)count;
        return count;
    }
}
