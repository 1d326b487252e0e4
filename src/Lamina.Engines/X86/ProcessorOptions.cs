// What a processor is made of and what it talks to.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Engines.X86.Cpuid;

namespace Lamina.Engines.X86;

/// <summary>The collaborators of a <see cref="Processor"/>.</summary>
internal sealed unsafe class ProcessorOptions
{
    /// <summary>Index of the vCPU, from 0; its APIC ID.</summary>
    public required int Index { get; init; }

    /// <summary>The live state, zero-filled, owned by the caller and valid as long as the processor. <see cref="CpuContext.XsaveArea"/> must point to 4 KiB, 64-byte aligned.</summary>
    public required CpuContext* Context { get; init; }

    /// <summary>Guest RAM.</summary>
    public required GuestMemory Memory { get; init; }

    /// <summary>Ports and memory that is not RAM.</summary>
    public required IVcpuBus Bus { get; init; }

    /// <summary>The vCPU's local APIC.</summary>
    public required ILocalInterruptController Apic { get; init; }

    /// <summary>Time, for RDTSC and the paravirtual clock.</summary>
    public required IMachineClock Clock { get; init; }

    /// <summary>What CPUID says.</summary>
    public required CpuModel Model { get; init; }

    /// <summary>Who caches things derived from the state.</summary>
    public required ITranslationCache Cache { get; init; }

    /// <summary>Where unknown MSRs and the like are reported, one line each, or null.</summary>
    public ILog? Log { get; init; }
}
