// Linux bzImage files, by the 64-bit boot protocol where the kernel has it and by the 32-bit one where not.
// Documentation/arch/x86/boot.rst: "64-bit Boot Protocol", "32-bit Boot Protocol". The real-mode code is not run.
using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Lamina.Core.Engine;
using Lamina.Core.Memory;

namespace Lamina.Boot;

/// <summary>Plans the boot of a bzImage.</summary>
internal static class BzImageLoader
{
    private const int HeadLength = 0x1000;
    private const ulong LeastAlignment = 2 << 20;
    private static readonly string[] TakeMemory = ["mem=", "memmap=", "hugepages=", "hugepagesz=", "default_hugepagesz=", "movable_node"];
    private const ushort OldestVersion = 0x0204, InitrdMaxVersion = 0x0203, CommandLineVersion = 0x0206, InitSizeVersion = 0x020A, XloadFlagsVersion = 0x020C;
    private const ulong DefaultLoadAddress = 0x10_0000, DefaultCommandLineLimit = 255, Entry64Offset = 0x200;

    /// <summary>Whether the file's first bytes are those of a Linux boot image with a setup header.</summary>
    internal static bool Matches(ReadOnlySpan<byte> head) =>
        head.Length >= LinuxSpec.HeaderEnd
        && BinaryPrimitives.ReadUInt16LittleEndian(head[LinuxSpec.BootFlag..]) == LinuxSpec.BootFlagValue
        && BinaryPrimitives.ReadUInt32LittleEndian(head[LinuxSpec.Header..]) == LinuxSpec.HeaderMagic;

    /// <summary>Plans the boot.</summary>
    /// <exception cref="MachineException">The image is cut off, too old or does not fit.</exception>
    internal static BootPlan Plan(BootRequest request)
    {
        request.RefuseModules();
        var kernel = request.Kernel;
        var head = kernel.Head(HeadLength);
        var header = new HeaderView(head);
        if (header.Version < OldestVersion || (head[LinuxSpec.LoadFlags] & LinuxSpec.LoadedHigh) == 0)
            throw new MachineException(MachineError.File, $"the kernel {kernel.Path} uses a Linux boot protocol that is too old ({header.Version >> 8}.{header.Version & 0xFF:00}, {((head[LinuxSpec.LoadFlags] & LinuxSpec.LoadedHigh) == 0 ? "zImage" : "bzImage")}); use a newer kernel");

        var setupLength = SetupLength(head);
        var codeLength = (ulong)header.U32(LinuxSpec.Syssize) * 16;
        var there = kernel.Length > setupLength ? kernel.Length - setupLength : 0;
        // The size is in paragraphs, so that it may say up to 15 bytes more than the file has.
        if (codeLength == 0 || codeLength > there + 15)
            throw new MachineException(MachineError.File, $"the kernel {kernel.Path} is cut off: its header speaks of {Sizes.Text(setupLength + codeLength)} and the file has {Sizes.Text(kernel.Length)}; fetch it again");
        codeLength = Math.Min(codeLength, there);

        var is64 = header.Version >= XloadFlagsVersion && (header.U16(LinuxSpec.XloadFlags) & LinuxSpec.XlfKernel64) != 0;
        // Images that only dress as Linux (iPXE's .lkrn) begin in their real-mode code, which asks the BIOS for everything.
        if (!is64 && header.U32(LinuxSpec.Code32Start) == 0)
            throw new MachineException(MachineError.File, $"the kernel {kernel.Path} starts in real mode with a BIOS, which this machine has not: its header names no 32-bit entry; name a Linux, PVH or Multiboot kernel");
        var plan = request.NewPlan(longMode: is64);
        var load = header.Version >= InitSizeVersion ? header.U64(LinuxSpec.PrefAddress) : DefaultLoadAddress;
        var needed = header.Version >= InitSizeVersion ? Math.Max(header.U32(LinuxSpec.InitSize), codeLength) : codeLength;
        if (load >= request.Map.Layout.HoleStart || load + needed > request.Map.LowEnd)
            throw new MachineException(MachineError.File, $"the kernel {kernel.Path} needs memory from {Sizes.Text(load)} to {Sizes.Text(load + needed)}, and the machine's ends at {Sizes.Text(request.Map.LowEnd)}; give the machine more memory");
        plan.Reserve(load, needed, "the kernel");
        if (is64) plan.Kernel = PlaceUnpacked(request, head, new MemoryRange(load, needed));
        if (plan.Kernel is null) plan.Place(load, kernel, setupLength, codeLength);

        var page = new GuestWriter(LinuxSpec.ZeroPageSize);
        var headerEnd = Math.Clamp(LinuxSpec.Header + head[LinuxSpec.JumpLength], LinuxSpec.Header + 4, LinuxSpec.HeaderEnd);
        page.Copy(LinuxSpec.SetupSects, head.AsSpan(LinuxSpec.SetupSects..headerEnd));
        page.U32(LinuxSpec.Code32Start, (uint)load);
        // As its own unpacker says it.
        if (plan.Kernel is { IsMoved: true }) page.U8(LinuxSpec.LoadFlags, (byte)(head[LinuxSpec.LoadFlags] | LinuxSpec.KaslrFlag));
        var lineLimit = header.Version >= CommandLineVersion ? header.U32(LinuxSpec.CmdlineSize) : DefaultCommandLineLimit;
        var initrdMax = header.Version >= InitrdMaxVersion ? header.U32(LinuxSpec.InitrdAddrMax) : LinuxSpec.DefaultInitrdAddrMax;
        if (is64 && (header.U16(LinuxSpec.XloadFlags) & LinuxSpec.XlfCanBeLoadedAbove4G) != 0) initrdMax = request.Map.Layout.MaximumMemory;
        LinuxBootParams.Place(request, plan, page, lineLimit, initrdMax + 1);

        if (is64)
        {
            plan.Reserve(BootLayout.PageTables, CpuEntry.PageTablesLength, "the first page tables");
            plan.Place(BootLayout.PageTables, CpuEntry.IdentityPageTables());
        }
        plan.Reserve(BootLayout.Stack, BootLayout.StackEnd - BootLayout.Stack, "the first stack");
        plan.Description = $"Linux {KernelVersion(kernel, header.U16(LinuxSpec.KernelVersion))} by the {(is64 ? 64 : 32)}-bit boot protocol {header.Version >> 8}.{header.Version & 0xFF:00}{(plan.Kernel is null ? "" : ", unpacked")}";
        plan.Enter = state =>
        {
            if (is64) CpuEntry.LongMode(state, plan.Kernel?.Entry ?? load + Entry64Offset);
            else CpuEntry.Protected(state, (uint)load);
            state.Gpr[GprIndex.Rsi] = BootLayout.BootParams;
        };
        return plan;
    }

    /// <summary>Has a kernel unpacked that can be; nothing is said of one that cannot, or is damaged.</summary>
    /// <param name="kernel">The file.</param>
    /// <param name="unpack">As <see cref="BootRequest.Unpack"/>.</param>
    internal static void Unpack(BootFile kernel, Func<KernelPayload, Func<BootFile, bool>, BootFile?> unpack)
    {
        var head = kernel.Head(HeadLength);
        if (!Matches(head)) return;
        var header = new HeaderView(head);
        if (header.Version >= XloadFlagsVersion && (header.U16(LinuxSpec.XloadFlags) & LinuxSpec.XlfKernel64) != 0)
            FindUnpacked(kernel, head, new MemoryRange(header.U64(LinuxSpec.PrefAddress), header.U32(LinuxSpec.InitSize)), unpack)?.Dispose();
    }

    private static ulong SetupLength(ReadOnlySpan<byte> head) => (ulong)((head[LinuxSpec.SetupSects] == 0 ? 4 : head[LinuxSpec.SetupSects]) + 1) * 512;

    private static BootFile? FindUnpacked(BootFile kernel, ReadOnlySpan<byte> head, MemoryRange own, Func<KernelPayload, Func<BootFile, bool>, BootFile?> unpack) =>
        KernelPayload.Find(kernel, head, SetupLength(head), own.Length) is { } payload ? unpack(payload, file => KernelImage.TryRead(file, own.Start, own.Length)?.IsWhole() == true) : null;

    // What the kernel's own unpacker does in the guest where there is an unpacked one. Its words on the command line that take memory away do so
    // before the kernel reads them, so that it stays where it is kept room for.
    private static KernelPlace? PlaceUnpacked(BootRequest request, ReadOnlySpan<byte> head, MemoryRange own)
    {
        var alignment = (ulong)BinaryPrimitives.ReadUInt32LittleEndian(head[LinuxSpec.KernelAlignment..]);
        if (!BitOperations.IsPow2(alignment) || alignment < LeastAlignment || own.Start % alignment != 0) return null;
        if (FindUnpacked(request.Kernel, head, own, request.Unpack) is not { } unpacked || KernelImage.TryRead(unpacked, own.Start, own.Length) is not { } image) return null;
        var words = request.CommandLine.Split(' ');
        var moves = !image.IsRelocatable || words.Contains("nokaslr") ? KernelMoves.None
            : Array.Exists(words, word => Array.Exists(TakeMemory, taking => word.StartsWith(taking, StringComparison.Ordinal))) ? KernelMoves.Linear
            : KernelMoves.Linear | KernelMoves.Physical;
        return new KernelPlace(image, own, alignment, moves);
    }

    // The kernel's version string lies in the real-mode code; only printable characters of it are repeated.
    private static string KernelVersion(BootFile kernel, ushort pointer)
    {
        var text = new byte[64];
        if (pointer == 0 || !kernel.TryRead((ulong)pointer + 0x200, text)) return "(unnamed)";
        var length = text.AsSpan().IndexOfAnyExceptInRange((byte)0x21, (byte)0x7E);
        return length == 0 ? "(unnamed)" : Encoding.ASCII.GetString(text, 0, length < 0 ? text.Length : length);
    }

    private readonly ref struct HeaderView(ReadOnlySpan<byte> head)
    {
        private readonly ReadOnlySpan<byte> _head = head;

        internal ushort Version => U16(LinuxSpec.Version);

        internal ushort U16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_head[offset..]);

        internal uint U32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_head[offset..]);

        internal ulong U64(int offset) => BinaryPrimitives.ReadUInt64LittleEndian(_head[offset..]);
    }
}
