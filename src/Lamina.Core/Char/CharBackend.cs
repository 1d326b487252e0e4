// The contract between a character device (serial port, console port) and what it is connected to on the host
// (terminal, socket, file, test). Both ways work alike: who has bytes offers them, the other takes the first ones it has room for
// and says later that there is room again. So nothing is lost, however much is typed at once or however late a reader is.
// Lock order: a backend calls its receiver with none of its own locks held; a device may call the backend with its lock held, which
// is why the backend may not call the receiver back on the caller's thread.
namespace Lamina.Core.Char;

/// <summary>The device's end of a character channel.</summary>
public interface ICharReceiver
{
    /// <summary>
    /// Offers input to the guest. The device takes the first bytes it has room for, and no more.
    /// Called by one backend thread at a time, never from within a method of <see cref="ICharBackend"/>.
    /// </summary>
    /// <param name="data">Bytes in the order of arrival; the device copies what it takes.</param>
    /// <returns>
    /// How many bytes were taken now, 0 to <c>data.Length</c>. Where it is less than offered, the backend keeps the rest
    /// and offers it again after <see cref="ICharBackend.ReadyToReceive"/>.
    /// </returns>
    int Receive(ReadOnlySpan<byte> data);

    /// <summary>
    /// Tells that the backend takes output again, after it took less than it was offered. Spurious calls are harmless. Called on a
    /// thread of the backend's, never from within a method of <see cref="ICharBackend"/>.
    /// </summary>
    void ReadyToSend();
}

/// <summary>The host's end of a character channel.</summary>
public interface ICharBackend : IDisposable
{
    /// <summary>How many bytes of output were taken and could not be brought to where they go, nor kept.</summary>
    long Lost => 0;

    /// <summary>
    /// Offers the guest's output. Never waits. What is not taken stays the device's, which holds the guest's transmitter back and
    /// offers it again after <see cref="ICharReceiver.ReadyToSend"/>.
    /// Any thread may call; a failing host is the backend's affair and never the caller's exception.
    /// </summary>
    /// <param name="data">Bytes in order; what is taken is copied or written before the call returns.</param>
    /// <returns>How many bytes were taken now, 0 to <c>data.Length</c>, from the first on.</returns>
    int Write(ReadOnlySpan<byte> data);

    /// <summary>Lets about a millisecond pass, for a guest that does nothing but ask whether more is taken. Called with no lock held.</summary>
    void Linger()
    {
    }

    /// <summary>Names the receiver of input and starts the delivery. Called once, before the guest runs.</summary>
    void Attach(ICharReceiver receiver);

    /// <summary>
    /// Tells that the receiver can take more now, after it took less than it was offered. Spurious calls are harmless.
    /// Any thread may call, with the device's lock held; it must not call the receiver back synchronously, and a call that
    /// comes between the receiver's short answer and the backend's wait must not be lost.
    /// </summary>
    void ReadyToReceive();
}
