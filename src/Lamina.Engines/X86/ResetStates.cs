// A vCPU's state after RESET, INIT and a start-up IPI, on either engine: changes of a VcpuState, which the engine then takes. What the
// vCPU does afterwards is EventLatch's to say. SDM vol. 3, 9.1 (table 9-1) and 9.4.4.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Msr;

namespace Lamina.Engines.X86;

/// <summary>States that the architecture names.</summary>
internal static class ResetStates
{
    private const ulong ResetPat = 0x0007_0406_0007_0406, Dr6Fixed = 0xffff_0ff0, Dr7Fixed = 0x400;
    private const int LegacyXsave = 576, ControlAt = 0, MxcsrAt = 24;

    /// <summary>Power-up.</summary>
    internal static void Reset(VcpuState state, CpuModel model, int index)
    {
        state.Cr0 = Cr0.CD | Cr0.NW;
        state.Xcr0 = 1;
        state.Msrs.Clear();
        state.Msrs[MsrIndex.Pat] = ResetPat;
        // As FNINIT leaves the x87: what kernels expect of a firmware.
        state.Xsave = new byte[Math.Max(LegacyXsave, (int)model.StandardSize(model.XcrMask))];
        BitConverter.TryWriteBytes(state.Xsave.AsSpan(ControlAt), (ushort)0x37f);
        BitConverter.TryWriteBytes(state.Xsave.AsSpan(MxcsrAt), 0x1f80u);
        Init(state, model, index);
        state.Activity = index == 0 ? VcpuActivity.Running : VcpuActivity.WaitForStartUp;
    }

    /// <summary>INIT: as RESET, but vector state, MSRs (except EFER), the TSC and the cache bits of CR0 stay.</summary>
    internal static void Init(VcpuState state, CpuModel model, int index)
    {
        Array.Clear(state.Gpr);
        state.Gpr[GprIndex.Rdx] = model.Query(1, 0, index, 0, 1, true).Eax;
        (state.Rip, state.Rflags) = (0xfff0, Rflags.Fixed);
        Array.Fill(state.Segments, new SegmentState { Limit = 0xffff, Attributes = SegmentAttributes.RealModeData });
        state.Segments[SegmentIndex.Cs] = new SegmentState { Selector = 0xf000, Base = 0xffff_0000, Limit = 0xffff, Attributes = SegmentAttributes.RealModeData | SegmentAttributes.Code };
        state.Segments[SegmentIndex.Ldtr] = new SegmentState { Limit = 0xffff, Attributes = SegmentAttributes.P | SystemType.Ldt };
        state.Segments[SegmentIndex.Tr] = new SegmentState { Limit = 0xffff, Attributes = SegmentAttributes.P | SystemType.BusyTss32 };
        state.Gdtr = state.Idtr = new DescriptorTableState { Limit = 0xffff };
        state.Cr0 = (state.Cr0 & (Cr0.CD | Cr0.NW)) | Cr0.ET;
        state.Cr2 = state.Cr3 = state.Cr4 = state.Efer = 0;
        Array.Clear(state.Dr);
        (state.Dr[6], state.Dr[7]) = (Dr6Fixed, Dr7Fixed);
        (state.Shadow, state.NmiBlocked, state.Pdptes, state.Pending) = (InterruptShadow.None, false, null, default);
    }

    /// <summary>A start-up IPI: real mode at vector * 4 KiB.</summary>
    internal static void StartUp(VcpuState state, byte vector)
    {
        state.Segments[SegmentIndex.Cs].Selector = (ushort)(vector << 8);
        state.Segments[SegmentIndex.Cs].Base = (ulong)vector << 12;
        state.Rip = 0;
    }
}
