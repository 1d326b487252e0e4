// Firmware of the user's as a file: what a processor begins with, to lie below 4 GiB. It is read once, when the machine is made, so that
// nothing of it changes while the machine lives. Of its content only that is checked without which no processor starts.
using Lamina.Boot;

namespace Lamina.Firmware;

/// <summary>A firmware image.</summary>
/// <param name="Name">What it is called in messages: the path, or the name by which it was asked for.</param>
/// <param name="Bytes">All of it.</param>
internal sealed record FirmwareImage(string Name, byte[] Bytes)
{
    /// <summary>Its length in bytes: whole blocks of 64 KiB, as flash chips and those who build firmware have it, up to where devices lie.</summary>
    internal const int Block = 64 << 10, Longest = 16 << 20;

    // The processor's first instruction is 16 bytes before the end (SDM vol. 3, 10.1.4).
    private const int ResetVector = 16;

    /// <summary>Reads a file.</summary>
    /// <exception cref="MachineException">It is missing, unreadable, or no firmware.</exception>
    internal static FirmwareImage Read(string path)
    {
        using var file = BootFile.Open("firmware", path, Longest + 1, $"is no firmware for a PC, which has at most {Sizes.Text(Longest)}");
        var bytes = file.Head((int)file.Length);
        if (WhyNot(bytes) is { } wrong) throw new MachineException(MachineError.File, $"the firmware {path} is no firmware for a PC: it {wrong}");
        return new FirmwareImage(path, bytes);
    }

    /// <summary>Why bytes are no firmware, as the end of a sentence; null where they can be.</summary>
    internal static string? WhyNot(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length % Block != 0) return $"{KernelFormat.DescribeOther(bytes) ?? $"has {bytes.Length} bytes"}, and not whole blocks of {Sizes.Text(Block)}";
        if (KernelFormat.DescribeOther(bytes) is { } other) return other;
        var first = bytes[^ResetVector..];
        return first.ContainsAnyExcept(first[0]) ? null : "has no instruction where a processor begins, 16 bytes before its end";
    }
}
