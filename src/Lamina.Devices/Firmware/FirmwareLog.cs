// Port 0x402, to which SeaBIOS and debug builds of OVMF write what they do, a character at a time. Whole lines go to the machine's log;
// the last ones can be looked at, so that a machine in which nothing happens tells where its firmware stands.
using System.Text;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;

namespace Lamina.Devices.Firmware;

/// <summary>Constants of the firmware's debug port.</summary>
public static class FirmwareLogSpec
{
    /// <summary>The port.</summary>
    public const ushort Port = 0x402;

    /// <summary>What a read gives, by which firmware knows that somebody listens (SeaBIOS, src/hw/serialio.c).</summary>
    internal const byte Presence = 0xe9;
}

/// <summary>The firmware's debug port.</summary>
/// <param name="log">Gets its lines.</param>
public sealed class FirmwareLog(ILog? log) : IBusDevice, IInspected
{
    private const int LongestLine = 256, KeptLines = 128;

    private readonly Lock _gate = new();
    private readonly StringBuilder _line = new();
    private readonly Queue<string> _last = [];

    /// <summary>Claims the port.</summary>
    public void MapPorts(Bus ports) => ports.Map(FirmwareLogSpec.Port, 1, this);

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "the firmware's debug port";
        node.Locked(_gate, () =>
        {
            foreach (var line in _last) node.Say("line", line);
            if (_line.Length > 0) node.Say("line", _line.ToString());
        });
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        data.Fill(FirmwareLogSpec.Presence);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        string? whole = null;
        lock (_gate)
        {
            var character = (char)data[0];
            if (character is not ('\n' or '\r')) _line.Append(character is >= ' ' and < '\x7f' or '\t' ? character : '.');
            if (_line.Length > 0 && (character == '\n' || _line.Length >= LongestLine))
            {
                whole = _line.ToString();
                _line.Clear();
                if (_last.Count == KeptLines) _last.Dequeue();
                _last.Enqueue(whole);
            }
        }
        if (whole is not null) log.Debug(LogEvent.Firmware, whole);
        return AccessResult.Ok;
    }
}
