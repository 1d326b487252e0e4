// What has to be the same for translations to be what this program would make of the same bytes: the program itself, the
// runtime, which lays out some of what is stored, the host's processor, the guest's, and the settings that emitted code depends on.
using System.Runtime.Intrinsics.X86;
using System.Text;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Archive;

/// <summary>The text of a key; two that differ have nothing to do with each other.</summary>
internal static class ArchiveKey
{
    // The processor's number, which differs from one run to the next.
    private const uint InitialApicId = 0xff00_0000, OsState = 1 << 27;

    /// <summary>The key of this program on this host.</summary>
    /// <param name="settings">Of the machine.</param>
    /// <param name="set">What the guest's instructions are decoded by.</param>
    public static string Of(TranslatorSettings settings, in InstructionSet set)
    {
        var key = new StringBuilder();
        _ = key.Append(typeof(ArchiveKey).Module.ModuleVersionId).Append(' ').Append(Environment.Version);
        if (settings.Precise) _ = key.Append(" precise");
        if (settings.SingleInstructionBlocks) _ = key.Append(" single");
        if (settings.GsBase is { } change) _ = key.Append(' ').Append(change);
        _ = key.Append($" {(ulong)set.Offered:x}{(set.IgnoresUnused ? " ignores" : "")}");
        foreach (var (leaf, subleaf) in ((int, int)[])[(0, 0), (1, 0), (7, 0), (7, 1), (0xd, 0), (0xd, 1), (unchecked((int)0x8000_0001), 0)])
        {
            var (eax, ebx, ecx, edx) = X86Base.CpuId(leaf, subleaf);
            if (leaf == 1) (ebx, ecx) = ((int)((uint)ebx & ~InitialApicId), (int)((uint)ecx & ~OsState));
            _ = key.Append($" {eax:x}.{ebx:x}.{ecx:x}.{edx:x}");
        }
        return key.ToString();
    }
}
