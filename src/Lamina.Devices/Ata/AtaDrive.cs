// A drive with an ATA interface: it takes commands by its task file, says what each of them comes to, and carries out the parts that concern its
// medium. What brings the registers and moves the data (an IDE channel, a port of AHCI) calls it under a lock of its own, but for what works on the
// medium, which waits for the host.
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.Limits;
using Lamina.Core.State;
using Lamina.Devices.Media;

namespace Lamina.Devices.Ata;

/// <summary>A drive.</summary>
public abstract class AtaDrive : ISavedUnit, IInspected, ICounted, IDisposable
{
    private Action? _retry;

    private protected AtaDrive(DriveOptions options) => Medium = new DriveMedium(options);

    /// <inheritdoc/>
    public abstract SavedKind Kind { get; }

    private protected DriveMedium Medium { get; }

    /// <summary>What limits what it moves.</summary>
    internal FlowGate? Gate => Medium.Options.Gate;

    /// <summary>Told whether a request of it waits for space on the host; null where none does.</summary>
    internal Action<bool>? WaitsForSpace => Medium.Options.WaitsForSpace;

    /// <summary>How it is connected, by which it describes itself; set once, before it is used.</summary>
    internal AtaPlace Place { get; set; }

    /// <summary>What count and address hold after a reset, by which hosts tell kinds of devices apart.</summary>
    internal abstract ulong Signature { get; }

    /// <summary>Its status after a reset.</summary>
    internal abstract byte StatusAfterReset { get; }

    /// <summary>Says how to have it tried again what waits for space.</summary>
    internal void OnRetry(Action retry) => _retry = retry;

    /// <summary>Tries what waits for space on the host's disk once more, unless the machine stands still: then when it goes on. Any thread.</summary>
    public void Retry() => _retry?.Invoke();

    /// <summary>Forgets what the guest set, with whoever carries its registers at rest.</summary>
    /// <param name="isPower">Whether the machine starts anew; else its bus was reset.</param>
    internal abstract void Reset(bool isPower);

    /// <summary>A command is written. The status says in the end how it ended, where it has.</summary>
    internal abstract AtaAction Begin(ref AtaTaskFile file, AtaOpcode command);

    /// <summary>The packet of a command is there.</summary>
    internal virtual AtaAction BeginPacket(ref AtaTaskFile file, ReadOnlySpan<byte> packet) => AtaAction.Of(AtaWork.None);

    /// <summary>Moves the next bytes of an action between memory and medium, or does the work that it is. No lock is held.</summary>
    /// <exception cref="IOException">The host fails.</exception>
    internal abstract void CarryOut(in AtaAction action, BlockBuffer data, int length);

    /// <summary>An action has ended: all is moved, or the medium failed.</summary>
    internal abstract void End(ref AtaTaskFile file, in AtaAction action, string? failure);

    /// <inheritdoc/>
    public abstract void Save(SavedFields fields);

    /// <inheritdoc/>
    public abstract void Load(SavedFields fields);

    /// <inheritdoc/>
    public abstract void Inspect(InspectNode node);

    /// <inheritdoc/>
    public void Count(CounterList counters) => Medium.Count(counters);

    /// <summary>Gives its limit up. The medium is its creator's.</summary>
    public virtual void Dispose()
    {
        Gate?.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Writes what a device says of itself: text in words whose first character is the high byte (ATA/ATAPI-6, 8.15.8), filled with blanks.</summary>
    private protected static void PutText(Span<ushort> words, string text)
    {
        Span<byte> bytes = stackalloc byte[words.Length * 2];
        bytes.Fill((byte)' ');
        for (var i = 0; i < bytes.Length && i < text.Length; i++) bytes[i] = (byte)(text[i] is >= ' ' and <= '~' ? text[i] : '?');
        for (var i = 0; i < words.Length; i++) words[i] = (ushort)(bytes[2 * i] << 8 | bytes[(2 * i) + 1]);
    }

    /// <summary>The bytes of identity words, with their checksum (8.15.61).</summary>
    private protected static byte[] Close(Span<ushort> words)
    {
        var bytes = new byte[AtaSpec.SectorSize];
        for (var i = 0; i < 255; i++) (bytes[2 * i], bytes[(2 * i) + 1]) = ((byte)words[i], (byte)(words[i] >> 8));
        bytes[510] = 0xa5;
        byte sum = 0;
        foreach (var part in bytes) sum += part;
        bytes[511] = (byte)-sum;
        return bytes;
    }

    // A transfer mode that SET FEATURES chose, in the high byte of the word that lists its class.
    private protected static ushort Chosen(byte mode, int modeClass) => (ushort)(mode >> AtaSpec.ModeClassShift == modeClass ? 1 << (8 + (mode & 7)) : 0);

    // Whether there is such a transfer mode (8.37.8). It changes nothing: there is no cable.
    private protected static bool IsMode(byte mode) => (mode >> AtaSpec.ModeClassShift, mode & 7) switch
    {
        (AtaSpec.PioMode, var which) => which <= 1,
        (AtaSpec.PioFlowMode, var which) => which <= AtaSpec.MostPioMode,
        (AtaSpec.MultiwordMode, var which) => which <= AtaSpec.MostMultiwordMode,
        (AtaSpec.UltraMode, var which) => which <= AtaSpec.MostUltraMode,
        _ => false,
    };
}

/// <summary>How a drive is connected.</summary>
internal enum AtaPlace
{
    /// <summary>Device 0 of a parallel channel.</summary>
    Zero,

    /// <summary>Device 1 of a parallel channel.</summary>
    One,

    /// <summary>A port of Serial ATA.</summary>
    Serial,
}
