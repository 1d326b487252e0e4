// The ACPI tables: lengths, checksums and references as ACPI 6.5 wants them, and Intel's compiler agrees where it is there.
using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Lamina.Acpi;
using Lamina.Boot;
using Lamina.Pc;
using Xunit;

namespace Lamina.Tests.Machines.Acpi;

public sealed class AcpiTablesTests
{
    private const ulong Base = 0xE_0000;

    internal static AcpiDescription Describe(int cpus = 2, int virtio = 3) => new()
    {
        ApicIds = [.. Enumerable.Range(0, cpus).Select(i => (uint)i)],
        LocalApic = 0xFEE0_0000,
        LocalApicVersion = 0x14,
        IoApic = 0xFEC0_0000,
        IoApicVersion = 0x20,
        IoApicId = 0,
        PowerManagement = new PowerManagementDescription(0x600, 0x604, 0x608, 0x610, 9, 5),
        ResetPort = 0xCF9,
        ResetValue = 6,
        SerialPorts = [new SerialDescription(0x3F8, 4)],
        RtcPort = 0x70,
        RtcIrq = 8,
        CenturyRegister = 0x32,
        PvPanicPort = 0x505,
        Generation = new GenerationDescription(0x12_3456_7000, 1),
        VirtioDevices = [.. Enumerable.Range(0, virtio).Select(i => new VirtioMmioDescription(0xFEB0_0000 + ((uint)i * 0x1000), 0x1000, 16 + (uint)i))],
    };

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 3)]
    [InlineData(300, 8)]
    public void Every_table_is_found_from_the_root_pointer_and_sums_to_zero(int cpus, int virtio)
    {
        var tables = Tables(cpus, virtio);

        Assert.Equal(["APIC", "DSDT", "FACP", "FACS"], tables.Keys.Order());
        foreach (var (name, table) in tables)
        {
            Assert.Equal((uint)table.Length, U32(table, 4));
            if (name != "FACS") Assert.Equal(0, table.Sum(b => b) & 0xFF);
        }
    }

    [Fact]
    public void The_root_pointer_has_both_checksums()
    {
        var block = AcpiTableSet.Create(Describe()).At(Base, 0x2_0000).Bytes;

        Assert.Equal("RSD PTR ", Encoding.ASCII.GetString(block, 0, 8));
        Assert.Equal(0, block.Take(20).Sum(b => b) & 0xFF);
        Assert.Equal(0, block.Take(36).Sum(b => b) & 0xFF);
    }

    // Systems from before ACPI 2.0 know no other, whatever the revision says.
    [Fact]
    public void Both_roots_lead_to_the_same_tables()
    {
        var block = AcpiTableSet.Create(Describe()).At(Base, 0x2_0000).Bytes;
        var (rsdt, xsdt) = ((int)(U32(block, 16) - Base), (int)(U32(block, 24) - Base));

        Assert.Equal(("RSDT", "XSDT"), (Encoding.ASCII.GetString(block, rsdt, 4), Encoding.ASCII.GetString(block, xsdt, 4)));
        Assert.Equal(0, block.Skip(rsdt).Take((int)U32(block, rsdt + 4)).Sum(b => b) & 0xFF);
        var count = (int)(U32(block, rsdt + 4) - 36) / 4;
        Assert.Equal(2, count);
        for (var i = 0; i < count; i++) Assert.Equal(BinaryPrimitives.ReadUInt64LittleEndian(block.AsSpan(xsdt + 36 + (8 * i))), U32(block, rsdt + 36 + (4 * i)));
    }

    [Fact]
    public void Processors_above_254_are_x2APICs()
    {
        var madt = Tables(300, 0)["APIC"];

        var kinds = new List<byte>();
        for (var at = 44; at < madt.Length; at += madt[at + 1]) kinds.Add(madt[at]);
        Assert.Equal((255, 45), (kinds.Count(k => k == 0), kinds.Count(k => k == 9)));
        Assert.Equal(1, kinds.Count(k => k == 1));
    }

    [Fact]
    public void Tables_that_do_not_fit_are_a_programming_error() =>
        Assert.Throws<InvalidOperationException>(() => AcpiTableSet.Create(Describe(300)).At(Base, 1024));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Intels_compiler_reads_every_table_without_a_complaint(bool pc)
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(p => File.Exists(Path.Combine(p, "iasl"))), "iasl (package acpica-tools) is not installed");
        var folder = Directory.CreateTempSubdirectory("lamina-test-");
        try
        {
            foreach (var (name, table) in pc ? Tables(PcTables.Describe(MemoryMap.Create(PcLayout.Boot, 8ul << 30), 3)) : Tables(3, 8))
            {
                if (name == "FACS") continue;
                File.WriteAllBytes(Path.Combine(folder.FullName, name + ".dat"), table);

                var listing = await RunAsync(folder.FullName, "-d", name + ".dat");
                Assert.DoesNotContain("rror", listing, StringComparison.Ordinal);
                Assert.DoesNotContain("arning", listing, StringComparison.Ordinal);
                Assert.DoesNotContain("nvalid", listing, StringComparison.Ordinal);
                if (name == "DSDT") Assert.Contains("0 Errors, 0 Warnings", await RunAsync(folder.FullName, "-vr", name + ".dsl"), StringComparison.Ordinal);
            }
            var source = Regex.Replace(File.ReadAllText(Path.Combine(folder.FullName, "DSDT.dsl")), @"(?<=,)\s*\n\s*", " \n ");
            foreach (var word in pc ? (string[])["PNP0A03", "PNP0C0F", "0x0000000800000000", "_SB.PCI0.ISA", "0xFEC10000, \n Zero"] : ["LNRO0005", "0x34567000, \n 0x12"]) Assert.Contains(word, source, StringComparison.Ordinal);
            Assert.Contains("Name (\\_S5, Package (0x04)", source, StringComparison.Ordinal);
            foreach (var word in (string[])["Scope (\\_GPE)", "Method (_E01, 0, Serialized)", "Notify (\\_SB.VGEN, 0x80)", "Name (_HID, \"LMNA0001\")", "Name (_DDN, \"VM_Gen_Counter\")", "\"VM_Gen_Counter\", \n \"VMGENCTR\""])
                Assert.Contains(word, source, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Terms_longer_than_63_bytes_have_a_longer_length()
    {
        var small = Aml.Buffer(new byte[60]);
        var medium = Aml.Buffer(new byte[61]);
        var large = Aml.Buffer(new byte[5000]);

        Assert.Equal([0x11, 0x3F, 0x0A, 60], small[..4]);
        Assert.Equal([0x11, 0x41, 0x04, 0x0A, 61], medium[..5]);
        Assert.Equal([0x11, 0x80 | (5006 & 0xF), (5006 >> 4) & 0xFF, 5006 >> 12, 0x0B], large[..5].Select(b => (int)b));
    }

    [Theory]
    [InlineData("\\_SB", new byte[] { 0x5C, (byte)'_', (byte)'S', (byte)'B', (byte)'_' })]
    [InlineData("_SB.PCI0", new byte[] { 0x2E, (byte)'_', (byte)'S', (byte)'B', (byte)'_', (byte)'P', (byte)'C', (byte)'I', (byte)'0' })]
    public void Name_paths_are_padded_and_prefixed(string path, byte[] expected) => Assert.Equal(expected, Aml.NamePath(path));

    [Fact]
    public void An_EISA_identifier_is_compressed() => Assert.Equal([0x0C, 0x41, 0xD0, 0x05, 0x01], Aml.EisaId("PNP0501"));

    private static Dictionary<string, byte[]> Tables(int cpus, int virtio) => Tables(Describe(cpus, virtio));

    private static Dictionary<string, byte[]> Tables(AcpiDescription machine)
    {
        var block = AcpiTableSet.Create(machine).At(Base, 0x2_0000).Bytes;
        byte[] At(ulong address) => block.AsSpan((int)(address - Base), (int)U32(block, (int)(address - Base) + 4)).ToArray();
        var xsdt = At(BinaryPrimitives.ReadUInt64LittleEndian(block.AsSpan(24)));
        Assert.Equal(0, xsdt.Sum(b => b) & 0xFF);
        var found = new List<byte[]>();
        for (var at = 36; at < xsdt.Length; at += 8) found.Add(At(BinaryPrimitives.ReadUInt64LittleEndian(xsdt.AsSpan(at))));
        var fadt = found.Single(t => Encoding.ASCII.GetString(t, 0, 4) == "FACP");
        Assert.Equal(U32(fadt, 40), BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(140)));
        found.Add(At(U32(fadt, 40)));
        Assert.Equal(0u, U32(fadt, 36) % 64);
        found.Add(At(U32(fadt, 36)));
        return found.ToDictionary(t => Encoding.ASCII.GetString(t, 0, 4));
    }

    private static uint U32(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));

    private static async Task<string> RunAsync(string folder, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("iasl", arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return await output + await errors;
    }
}
