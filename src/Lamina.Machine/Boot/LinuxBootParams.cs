// Linux's boot_params ("zero page"): the structure that both the 32-bit and the 64-bit boot protocol hand to the kernel.
// Offsets: Documentation/arch/x86/boot.rst and zero-page.rst.

namespace Lamina.Boot;

/// <summary>Offsets and values of the setup header and the zero page.</summary>
internal static class LinuxSpec
{
    internal const int SetupSects = 0x1F1, Syssize = 0x1F4, VidMode = 0x1FA, BootFlag = 0x1FE, JumpLength = 0x201, Header = 0x202;
    internal const int Version = 0x206, TypeOfLoader = 0x210, LoadFlags = 0x211, Code32Start = 0x214;
    internal const int RamdiskImage = 0x218, RamdiskSize = 0x21C, CmdLinePtr = 0x228, InitrdAddrMax = 0x22C;
    internal const int KernelAlignment = 0x230, XloadFlags = 0x236, CmdlineSize = 0x238;
    internal const int SetupDataPointer = 0x250, PrefAddress = 0x258, InitSize = 0x260, HeaderEnd = 0x26C;
    internal const int KernelVersion = 0x20E;

    internal const int AcpiRsdpAddr = 0x70, ExtRamdiskImage = 0xC0, ExtRamdiskSize = 0xC4, E820Entries = 0x1E8, E820Table = 0x2D0;
    internal const int ZeroPageSize = 4096, E820EntrySize = 20;

    internal const ushort BootFlagValue = 0xAA55;
    internal const uint HeaderMagic = 0x5372_6448;      // "HdrS"
    internal const byte LoaderUnassigned = 0xFF, LoadedHigh = 1, KaslrFlag = 2;
    internal const ushort VidModeNormal = 0xFFFF;
    internal const ushort XlfKernel64 = 1, XlfCanBeLoadedAbove4G = 2;
    internal const uint SetupRngSeed = 9;
    internal const int RngSeedLength = 32;
    internal const ulong DefaultInitrdAddrMax = 0x37FF_FFFF, ModernInitrdAddrMax = 0x7FFF_FFFF;
    internal const ulong KernelCommandLineLimit = 2047;
}

/// <summary>Fills a zero page and places it with all that it points to.</summary>
internal static class LinuxBootParams
{
    /// <summary>
    /// Reserves and places boot_params, command line, random seed and initrd. <paramref name="page"/> holds the setup header
    /// already; <paramref name="initrdEnd"/> is the first address that the initrd may not reach.
    /// </summary>
    internal static void Place(BootRequest request, BootPlan plan, GuestWriter page, ulong commandLineLimit, ulong initrdEnd)
    {
        page.U16(LinuxSpec.VidMode, LinuxSpec.VidModeNormal);
        page.U8(LinuxSpec.TypeOfLoader, LinuxSpec.LoaderUnassigned);
        page.U64(LinuxSpec.AcpiRsdpAddr, request.Firmware.RsdpAddress);

        var line = request.CommandLineBytes(request.LinuxCommandLine, Math.Min(commandLineLimit, BootLayout.BootStringsEnd - BootLayout.BootStrings - 1));
        plan.Reserve(BootLayout.BootStrings, (ulong)line.Length, "the command line");
        plan.Place(BootLayout.BootStrings, line);
        page.U32(LinuxSpec.CmdLinePtr, (uint)BootLayout.BootStrings);

        PlaceSeed(plan, page);
        if (request.Initrd is { } initrd)
        {
            var address = request.PlaceInitrd(plan, initrd, initrdEnd);
            page.U32(LinuxSpec.RamdiskImage, (uint)address);
            page.U32(LinuxSpec.RamdiskSize, (uint)initrd.Length);
            page.U32(LinuxSpec.ExtRamdiskImage, (uint)(address >> 32));
            page.U32(LinuxSpec.ExtRamdiskSize, (uint)(initrd.Length >> 32));
        }

        var entries = request.Map.Entries;
        page.U8(LinuxSpec.E820Entries, (byte)entries.Count);
        for (var i = 0; i < entries.Count; i++)
        {
            var at = LinuxSpec.E820Table + (i * LinuxSpec.E820EntrySize);
            page.U64(at, entries[i].Range.Start);
            page.U64(at + 8, entries[i].Range.Length);
            page.U32(at + 16, (uint)entries[i].Type);
        }
        plan.Reserve(BootLayout.BootParams, LinuxSpec.ZeroPageSize, "the boot parameters");
        plan.Place(BootLayout.BootParams, page.Bytes);
    }

    // A setup_data node with a fresh seed at each start: the guest's random numbers are ready from its first instruction.
    private static void PlaceSeed(BootPlan plan, GuestWriter page)
    {
        var node = new GuestWriter(16);
        node.U32(8, LinuxSpec.SetupRngSeed);
        node.U32(12, LinuxSpec.RngSeedLength);
        plan.Reserve(BootLayout.SetupData, 16 + LinuxSpec.RngSeedLength, "the random seed");
        plan.Place(BootLayout.SetupData, node.Bytes);
        plan.PlaceRandom(BootLayout.SetupData + 16, LinuxSpec.RngSeedLength);
        page.U64(LinuxSpec.SetupDataPointer, BootLayout.SetupData);
    }
}
