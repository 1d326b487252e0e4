// Port 0x80: firmware shows its progress there, and kernels write to it to pass a microsecond. The last code can be asked for.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;

namespace Lamina.Devices.Chipset;

/// <summary>Constants of the diagnostics port.</summary>
public static class PostCodePortSpec
{
    /// <summary>The port.</summary>
    public const ushort Port = 0x80;
}

/// <summary>The diagnostics port.</summary>
public sealed class PostCodePort : IBusDevice, IInspected
{
    private volatile byte _code;

    /// <summary>The last code written.</summary>
    public byte Code => _code;

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "diagnostics port";
        node.SayHex("code", _code);
    }

    /// <summary>Claims the port.</summary>
    public void MapPorts(Bus ports) => ports.Map(PostCodePortSpec.Port, 1, this);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        data.Fill(_code);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        _code = data[0];
        return AccessResult.Ok;
    }
}
