// What of a state a vCPU cannot take, collected while the state is put in place: what IVcpu.SetState returns, on both engines.
namespace Lamina.Engines.X86;

/// <summary>Parts of a state that were refused, a few words each.</summary>
internal sealed class Refusals
{
    private List<string>? _all;

    /// <summary>All of them.</summary>
    public IReadOnlyList<string> All => _all ?? (IReadOnlyList<string>)[];

    /// <summary>One more.</summary>
    public void Add(string what) => (_all ??= []).Add(what);

    /// <summary>A model-specific register. One that is not there lost nothing where it held zero.</summary>
    public void AddMsr(uint index, ulong value)
    {
        if (value != 0) Add($"MSR 0x{index:x} with 0x{value:x}");
    }
}
