// What can be firmware, and what a user is told of a file that cannot.
using Lamina.Boot;
using Lamina.Firmware;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Firmware;

public sealed class FirmwareImageTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_begins_at_its_end_is_firmware()
    {
        Assert.Null(FirmwareImage.WhyNot(TestFirmware.Image));
        Assert.Null(FirmwareImage.WhyNot(TestFirmware.Other(FirmwareImage.Longest)));
    }

    [Fact]
    public void Files_that_are_none_are_refused_in_one_sentence()
    {
        Refused("does not exist", _folder.In("none"));
        Refused("a folder", _folder.In("."));
        Refused("is empty", Make([]));
        Refused("at most 16 MiB", Make(TestFirmware.Other(FirmwareImage.Longest + FirmwareImage.Block)));
        Refused("has 100 bytes, and not whole blocks of 4 KiB", Make(new byte[100]));
        Refused("no instruction where a processor begins", Make(new byte[64 << 10]));
        Refused("no instruction where a processor begins", Make([.. Enumerable.Repeat((byte)0xff, 128 << 10)]));
        Refused("a qcow2 disk image", Make([.. "QFI\u00fb"u8.ToArray().Take(3), 0xfb, .. new byte[197_000]]));
        Refused("compressed with gzip", Make([0x1f, 0x8b, .. new byte[3000]]));
        Refused("a Windows or EFI program", Make([.. "MZ"u8, .. TestFirmware.Image[2..]]));
        Refused("a script", Make("#!/bin/sh\n"u8.ToArray()));
    }

    [Fact]
    public void What_is_in_a_flash_chip_at_first_lies_beside_the_code()
    {
        foreach (var name in (string[])["a_CODE.fd", "a.fd"]) File.WriteAllBytes(_folder.In(name), TestFirmware.Image);
        Assert.Null(FirmwareImage.Read(_folder.In("a_CODE.fd")).Variables);

        File.WriteAllBytes(_folder.In("a_VARS.fd"), [.. new byte[FirmwareImage.Block - 1], 7]);
        Assert.Equal(7, FirmwareImage.Read(_folder.In("a_CODE.fd")).Variables![^1]);
        Assert.Null(FirmwareImage.Read(_folder.In("a.fd")).Variables);

        File.WriteAllBytes(_folder.In("a.fd.vars"), [.. new byte[FirmwareImage.Block - 1], 8]);
        Assert.Equal(8, FirmwareImage.Read(_folder.In("a.fd")).Variables![^1]);

        File.WriteAllBytes(_folder.In("a_VARS.fd"), new byte[100]);
        Assert.Contains("a_VARS.fd is no flash chip's content: it has 100 bytes", Assert.Throws<MachineException>(() => FirmwareImage.Read(_folder.In("a_CODE.fd"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Builds_for_a_mode_that_there_is_not_are_refused_whatever_leads_to_them()
    {
        File.WriteAllBytes(_folder.In("OVMF_CODE_4M.secboot.fd"), TestFirmware.Image);
        File.CreateSymbolicLink(_folder.In("uefi.fd"), "OVMF_CODE_4M.secboot.fd");
        File.WriteAllBytes(_folder.In("OVMF_CODE.ms.fd"), TestFirmware.Image);
        foreach (var name in (string[])["OVMF_CODE_4M.secboot.fd", "uefi.fd", "OVMF_CODE.ms.fd"])
            Assert.Contains("System Management Mode", Assert.Throws<MachineException>(() => FirmwareImage.Read(_folder.In(name))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(512, 36)]
    [InlineData(32 << 10, 40)] // with the hole below 4 GiB, half of what 36 bits reach is passed
    [InlineData(400 << 10, 40)]
    [InlineData(600 << 10, null)]
    public void UEFI_is_told_of_no_more_bits_of_address_than_it_can_map(int mebibytes, int? bits)
    {
        var map = MemoryMap.Create(Pc.PcLayout.Boot, (ulong)mebibytes << 20);
        Assert.Equal(bits, new FirmwareImage("x", TestFirmware.Image) { Variables = new byte[FirmwareImage.Block] }.AddressBits(map));
        Assert.Null(new FirmwareImage("x", TestFirmware.Image).AddressBits(map));
    }

    [Fact]
    public void Any_bytes_are_firmware_or_refused()
    {
        var random = new Random(256);
        for (var round = 0; round < 2000; round++)
        {
            var bytes = new byte[random.Next(4) == 0 ? FirmwareImage.Block : random.Next(1000)];
            random.NextBytes(bytes);
            _ = FirmwareImage.WhyNot(bytes);
        }
        Assert.Equal("is empty", FirmwareImage.WhyNot([]));
    }

    private string Make(byte[] content)
    {
        File.WriteAllBytes(_folder.In("file"), content);
        return _folder.In("file");
    }

    private static void Refused(string why, string path)
    {
        var refused = Assert.Throws<MachineException>(() => FirmwareImage.Read(path));
        Assert.Equal(MachineError.File, refused.Error);
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }
}
