// Firmware of the user's as a file: what a processor begins with, to lie below 4 GiB. It is read once, when the machine is made, so that
// nothing of it changes while the machine lives. Of its content only that is checked without which no processor starts.
using Lamina.Boot;
using Lamina.Devices.Firmware;
using Lamina.Host;

namespace Lamina.Firmware;

/// <summary>A firmware image.</summary>
/// <param name="Name">What it is called in messages: the path, or the name by which it was asked for.</param>
/// <param name="Bytes">All of it.</param>
internal sealed record FirmwareImage(string Name, byte[] Bytes)
{
    /// <summary>Its length in bytes: whole blocks of 4 KiB, as flash chips and memory have them, up to where devices lie.</summary>
    internal const int Block = FlashChip.Block, Longest = FlashChip.Longest;

    // As many as any 64-bit processor has, or else as most virtual machines have. Half of what they reach is for devices above RAM.
    private static readonly int[] UefiAddressBits = [36, 40];

    // What stands behind the name of firmware whose name says nothing of its parts.
    internal const string VariablesSuffix = ".vars";

    // How those who build UEFI firmware in two parts call them.
    private const string Code = "CODE", VariablesOf = "VARS";

    // The processor's first instruction is 16 bytes before the end (SDM vol. 3, 10.1.4).
    private const int ResetVector = 16;

    /// <summary>What is in the flash chip below it at first, where it keeps its variables in one; null where it has none.</summary>
    internal byte[]? Variables { get; init; }

    /// <summary>
    /// The bits of physical address that a CPU is to have that begins with it; null for as many as there are. UEFI maps all that they reach before anything
    /// else is loaded, and builds whose first part is 32-bit code do so by pages of 2 MiB, whose tables for 46 bits are longer than a machine's memory
    /// (edk2 before 2022-12, of which Debian 12 has OVMF_CODE_4M.fd).
    /// </summary>
    internal int? AddressBits(MemoryMap map) => Variables is null ? null : UefiAddressBits.Select(bits => (int?)bits).FirstOrDefault(bits => map.Ram[^1].End <= 1ul << (bits!.Value - 1));

    /// <summary>Reads a file. Beside one whose name has CODE in it lies one with VARS instead, where the firmware is of two parts.</summary>
    /// <exception cref="MachineException">It is missing, unreadable, or no firmware.</exception>
    internal static FirmwareImage Read(string path)
    {
        using var file = BootFile.Open("firmware", path, Longest + 1, $"is no firmware for a PC, which has at most {Sizes.Text(Longest)}");
        var bytes = file.Head((int)file.Length);
        if (NeedsManagementMode(path)) throw new MachineException(MachineError.File, $"the firmware {path} is a build for System Management Mode, which a machine here has not; its package's OVMF_CODE_4M.fd needs none, and checks signatures, too, where it begins with variables that have keys in them");
        if (WhyNot(bytes) is { } wrong) throw new MachineException(MachineError.File, $"the firmware {path} is no firmware for a PC: it {wrong}");
        return new FirmwareImage(path, bytes) { Variables = VariablesBeside(path) };
    }

    // Nothing else than its name tells such a build from others: it stops in its first steps, and says nothing. Those with keys are links to it.
    private static bool NeedsManagementMode(string path) => Path.GetFileName(HostFiles.RealPath(path) ?? path) is var name && name.Contains(Code, StringComparison.Ordinal)
        && (name.Contains(".secboot", StringComparison.Ordinal) || name.Contains(".ms.", StringComparison.Ordinal) || name.Contains(".snakeoil", StringComparison.Ordinal));

    /// <summary>Where the variables lie that firmware begins with; null where it has none.</summary>
    internal static string? VariablesPathOf(string path)
    {
        var whole = Path.GetFullPath(path);
        var name = Path.GetFileName(whole);
        string[] places = [name.Replace(Code, VariablesOf, StringComparison.Ordinal), name + VariablesSuffix];
        return places.Where(place => place != name).Select(place => Path.Combine(Path.GetDirectoryName(whole)!, place)).FirstOrDefault(Path.Exists);
    }

    private static byte[]? VariablesBeside(string path)
    {
        if (VariablesPathOf(path) is not { } beside) return null;
        using var file = BootFile.Open("firmware's variables", beside, Longest + 1, $"is no flash chip's content, which has at most {Sizes.Text(Longest)}");
        var bytes = file.Head((int)file.Length);
        return bytes.Length > 0 && bytes.Length % Block == 0 ? bytes : throw new MachineException(MachineError.File, $"{beside} is no flash chip's content: it has {bytes.Length} bytes, and not whole blocks of {Sizes.Text(Block)}");
    }

    /// <summary>Why bytes are no firmware, as the end of a sentence; null where they can be.</summary>
    internal static string? WhyNot(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return "is empty";
        if (bytes.Length % Block != 0) return $"{KernelFormat.DescribeOther(bytes) ?? $"has {bytes.Length} bytes"}, and not whole blocks of {Sizes.Text(Block)}";
        if (KernelFormat.DescribeOther(bytes) is { } other) return other;
        var first = bytes[^ResetVector..];
        return first.ContainsAnyExcept(first[0]) ? null : "has no instruction where a processor begins, 16 bytes before its end";
    }
}
