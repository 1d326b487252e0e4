// How the GS base can be changed on this host: the kernel says whether it keeps what WRGSBASE sets; whether the processor executes the
// instruction where the kernel says nothing is tried.
using System.Runtime.Intrinsics.X86;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Settings;
using Lamina.Host;
using Lamina.Host.Threads;

namespace Lamina.Engines.Translator.Runtime;

internal static unsafe class HostGsBase
{
    // SDM vol. 2, CPUID: 7.0.EBX[0]. Linux, asm/hwcap2.h: HWCAP2_FSGSBASE.
    private const uint CpuidFsGsBase = 1;
    private const ulong HwcapFsGsBase = 2;

    // This host's way.
    private static GsBaseChange Change { get; } = Find();

    /// <summary>A machine's way.</summary>
    public static GsBaseChange Of(TranslatorSettings settings) => settings.GsBase ?? Change;

    private static GsBaseChange Find()
    {
        if (X86Base.CpuId(0, 0).Eax < 7 || ((uint)X86Base.CpuId(7, 0).Ebx & CpuidFsGsBase) == 0) return GsBaseChange.Asked;
        if ((ProcessAuxiliary.Hwcap2 & HwcapFsGsBase) != 0) return GsBaseChange.Kept;
        return Executes([0xf3, 0x48, 0x0f, 0xae, 0xc8]) ? GsBaseChange.Lost : GsBaseChange.Asked; // rdgsbase rax
    }

    /// <summary>Whether the processor executes an instruction, which must be harmless, or refuses it.</summary>
    public static bool Executes(ReadOnlySpan<byte> instruction)
    {
        const int Refused = 64;
        using var memory = SharedMemory.Create("lamina-try", HostReservation.PageSize);
        using var code = HostReservation.Reserve(HostReservation.PageSize);
        code.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadWrite);
        var bytes = code.Slice(0, HostReservation.PageSize);
        ReadOnlySpan<byte> yes = [0xb8, 1, 0, 0, 0, 0xc3], no = [0x31, 0xc0, 0xc3]; // mov eax, 1; ret; xor eax, eax; ret
        instruction.CopyTo(bytes);
        yes.CopyTo(bytes[instruction.Length..]);
        no.CopyTo(bytes[Refused..]);
        code.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadExecute);

        // The handler notes what it sees in a vCPU's state, of which there is none here.
        using var state = HostReservation.Reserve(Slot.Middle);
        state.MapAnonymous(0, Slot.SharedSize);
        var start = (ulong)code.Address;
        ThreadGsBase.Set((ulong)state.Address + Slot.Middle);
        try
        {
            using var faults = GeneratedCodeFaults.Claim(start, start + Refused, start + Refused, Slot.Faults);
            return ((delegate* unmanaged<int>)start)() != 0;
        }
        finally
        {
            ThreadGsBase.Set(0);
        }
    }
}
