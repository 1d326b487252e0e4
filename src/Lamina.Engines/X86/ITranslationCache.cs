// What the processor tells whoever caches something derived from its state: page translations, decoded or translated
// code. The translator's runtime implements it. Calls come on the vCPU's thread, after the state changed.
namespace Lamina.Engines.X86;

/// <summary>Drops what was derived from processor state.</summary>
internal interface ITranslationCache
{
    /// <summary>INVLPG or #PF: forget the page that holds a linear address, whatever its size, global or not, in the current address space.</summary>
    void PageInvalidated(ulong linear);

    /// <summary>CR3 was written.</summary>
    /// <param name="oldCr3">Before, with the PCID in bits 0-11 where CR4.PCIDE is set.</param>
    /// <param name="newCr3">Now, without bit 63.</param>
    /// <param name="keepNonGlobal">What was cached for the new PCID stays valid (bit 63 was set).</param>
    void AddressSpaceChanged(ulong oldCr3, ulong newCr3, bool keepNonGlobal);

    /// <summary>Forget all pages of all PCIDs; global ones too if <paramref name="global"/>.</summary>
    void Flush(bool global);

    /// <summary>CR0.WP was set: stores at supervisor level are no longer made where the entries forbid them.</summary>
    void WriteProtectionSet();

    /// <summary>Forget the pages of one PCID that are not global.</summary>
    void FlushPcid(ushort pcid);

    /// <summary>CR0, CR4, EFER, CPL, the size of code, RFLAGS.TF, VM, AC, or what SYSCALL loads changed so that decoding or permissions may differ.</summary>
    void ModeChanged();

    /// <summary>Something changed that answers of CPUID depend on: CR4.OSXSAVE, XCR0, or whether the local APIC is enabled.</summary>
    void IdentificationChanged();

    /// <summary>The base, limit or attributes of a segment register changed.</summary>
    void SegmentBaseOrLimitChanged();

    /// <summary>DR0 to DR3 or DR7 changed.</summary>
    void DebugRegistersChanged();

    /// <summary>The processor wrote guest RAM (operands, stack frames, page-table bits): translated code there is stale.</summary>
    void RamWritten(ulong physical, int length);
}
