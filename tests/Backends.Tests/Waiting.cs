// What tests of threads share: waiting for something to come true, for as long as a slow machine may need.
using Lamina.Core.Char;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends;

internal static class Waiting
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public static void Until(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, Limit), "what was waited for never came");

    /// <summary>Reads from a descriptor as soon as there is something.</summary>
    public static string Read(int descriptor, int limit = 4096)
    {
        var buffer = new byte[limit];
        Until(() => HostIo.Wait((descriptor, HostPoll.Readable), (-1, HostPoll.None), 1000).First.HasFlag(HostPoll.Readable));
        return System.Text.Encoding.ASCII.GetString(buffer, 0, Math.Max(0, HostIo.Read(descriptor, buffer)));
    }

    public static Thread Run(Action action)
    {
        var thread = new Thread(() => action()) { IsBackground = true };
        thread.Start();
        return thread;
    }

    public static void Wait(this ManualResetEventSlim gate) => Assert.True(gate.Wait(Limit), "what was waited for never came");
}

/// <summary>A device that takes as much as it has room for.</summary>
internal sealed class TestReceiver : ICharReceiver
{
    private readonly List<byte> _received = [];
    private int _room = int.MaxValue;
    private int _offers, _calls;

    public string Text
    {
        get
        {
            lock (_received) return System.Text.Encoding.ASCII.GetString([.. _received]);
        }
    }

    public int Offers => Volatile.Read(ref _offers);

    public int Room
    {
        set
        {
            lock (_received) _room = value;
        }
    }

    public int Receive(ReadOnlySpan<byte> data)
    {
        lock (_received)
        {
            var taken = Math.Min(data.Length, _room);
            _received.AddRange(data[..taken]);
            if (_room != int.MaxValue) _room -= taken;
            Interlocked.Increment(ref _offers);
            return taken;
        }
    }

    /// <summary>How often it was told that it can send again.</summary>
    public int Calls
    {
        get => Volatile.Read(ref _calls);
        set => Volatile.Write(ref _calls, value);
    }

    public void ReadyToSend() => Interlocked.Increment(ref _calls);
}

/// <summary>A device with a bug.</summary>
internal sealed class BrokenReceiver : ICharReceiver
{
    public int Receive(ReadOnlySpan<byte> data) => throw new InvalidOperationException("the device is broken");

    public void ReadyToSend()
    {
    }
}

/// <summary>A folder that goes with the test.</summary>
internal sealed class TestFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-");

    public string this[string name] => Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);
}
