// The contract between a character device (serial port, console port) and what it is connected to on the host
// (terminal, socket, file, test). Output is pushed by the device; input is pushed by the backend and taken by the
// device as far as it has room, so that nothing is lost however much is typed or pasted at once.
// Lock order: a backend calls its receiver with none of its own locks held; a device may call Write and ReadyToReceive
// with its lock held, which is why neither may call the receiver back on the caller's thread.
namespace Lamina.Core.Char;

/// <summary>The device's end of a character channel: takes input that the backend has for the guest.</summary>
public interface ICharReceiver
{
    /// <summary>
    /// Offers input to the guest. The device takes the first bytes it has room for, and no more.
    /// Called by one backend thread at a time, never from within <see cref="ICharBackend.Write"/> or
    /// <see cref="ICharBackend.ReadyToReceive"/>.
    /// </summary>
    /// <param name="data">Bytes in the order of arrival; the device copies what it takes.</param>
    /// <returns>
    /// How many bytes were taken now, 0 to <c>data.Length</c>. Where it is less than offered, the backend keeps the rest
    /// and offers it again after <see cref="ICharBackend.ReadyToReceive"/>.
    /// </returns>
    int Receive(ReadOnlySpan<byte> data);
}

/// <summary>The host's end of a character channel.</summary>
public interface ICharBackend : IDisposable
{
    /// <summary>
    /// Sends the guest's output. Never blocks for long: what the host cannot take soon is queued within a bound or dropped.
    /// Any thread may call; a failing host is the backend's affair and never the caller's exception.
    /// </summary>
    /// <param name="data">Bytes in order; copied or written before the call returns.</param>
    void Write(ReadOnlySpan<byte> data);

    /// <summary>Names the receiver of input and starts the delivery. Called once, before the guest runs.</summary>
    void Attach(ICharReceiver receiver);

    /// <summary>
    /// Tells that the receiver can take more now, after it took less than it was offered. Spurious calls are harmless.
    /// Any thread may call, with the device's lock held; it must not call the receiver back synchronously, and a call that
    /// comes between the receiver's short answer and the backend's wait must not be lost.
    /// </summary>
    void ReadyToReceive();
}
