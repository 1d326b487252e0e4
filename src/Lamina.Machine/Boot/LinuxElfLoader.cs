// 64-bit ELF kernels without a PVH note, taken for a Linux vmlinux and entered by the 64-bit boot protocol at their ELF
// entry, as other monitors that boot vmlinux do. The setup header, which vmlinux does not carry, is made up.
using Lamina.Core.Engine;

namespace Lamina.Boot;

/// <summary>Plans the boot of a vmlinux.</summary>
internal static class LinuxElfLoader
{
    private const ushort ProtocolVersion = 0x020C;
    private const uint KernelAlignment = 0x100_0000;

    /// <summary>Plans the boot.</summary>
    /// <exception cref="MachineException">The file is 32-bit, relocatable or does not fit.</exception>
    internal static BootPlan Plan(BootRequest request, ElfFile elf)
    {
        var path = request.Kernel.Path;
        request.RefuseModules();
        if (!elf.Is64) throw new MachineException(MachineError.File, $"the kernel {path} is a 32-bit ELF file with neither a Multiboot 1 header nor a PVH note; it does not say how it wants to be started");
        if (elf.IsPositionIndependent) throw new MachineException(MachineError.File, $"the kernel {path} is a position-independent ELF program without a PVH note; it does not say how it wants to be started");
        var plan = request.NewPlan(longMode: true);
        elf.Place(plan, request.Kernel);

        var page = new GuestWriter(LinuxSpec.ZeroPageSize);
        page.U16(LinuxSpec.BootFlag, LinuxSpec.BootFlagValue);
        page.U32(LinuxSpec.Header, LinuxSpec.HeaderMagic);
        page.U16(LinuxSpec.Version, ProtocolVersion);
        page.U8(LinuxSpec.LoadFlags, LinuxSpec.LoadedHigh);
        page.U32(LinuxSpec.KernelAlignment, KernelAlignment);
        page.U16(LinuxSpec.XloadFlags, LinuxSpec.XlfKernel64);
        page.U32(LinuxSpec.CmdlineSize, (uint)LinuxSpec.KernelCommandLineLimit);
        LinuxBootParams.Place(request, plan, page, LinuxSpec.KernelCommandLineLimit, LinuxSpec.ModernInitrdAddrMax + 1);
        plan.Reserve(BootLayout.PageTables, CpuEntry.PageTablesLength, "the first page tables");
        plan.Place(BootLayout.PageTables, CpuEntry.IdentityPageTables());
        plan.Reserve(BootLayout.Stack, BootLayout.StackEnd - BootLayout.Stack, "the first stack");

        plan.Description = "an ELF kernel by Linux's 64-bit boot protocol";
        var entry = elf.Entry;
        plan.Enter = state =>
        {
            CpuEntry.LongMode(state, entry);
            state.Gpr[GprIndex.Rsi] = BootLayout.BootParams;
        };
        return plan;
    }
}
