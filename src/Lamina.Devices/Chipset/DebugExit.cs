// A port by which a guest ends its machine with a value, as test harnesses of kernels use it. Off unless asked for.
using Lamina.Core.Bus;

namespace Lamina.Devices.Chipset;

/// <summary>Constants of the debug exit port.</summary>
public static class DebugExitSpec
{
    /// <summary>Where harnesses expect it unless told otherwise, and how many ports it takes.</summary>
    public const ushort DefaultPort = 0xf4, Length = 4;

    /// <summary>The exit code for a written value: odd, so that it is never taken for the success of the program itself.</summary>
    public static int ExitCode(uint value) => unchecked((int)((value << 1) | 1));
}

/// <summary>The debug exit port: 1, 2 or 4 bytes wide; reads give zero.</summary>
/// <param name="exit">Asks for the machine's end with an exit code; called without locks and must not wait for it.</param>
public sealed class DebugExit(Action<int> exit) : IBusDevice
{
    /// <summary>Claims the ports from <paramref name="port"/> on.</summary>
    public void MapPorts(Bus ports, ushort port = DebugExitSpec.DefaultPort) => ports.Map(port, DebugExitSpec.Length, this);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        data.Clear();
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        var value = 0u;
        for (var i = 0; i < data.Length && i < sizeof(uint); i++) value |= (uint)data[i] << (8 * i);
        exit(DebugExitSpec.ExitCode(value));
        return AccessResult.Ok;
    }
}
