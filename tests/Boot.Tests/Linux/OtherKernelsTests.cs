// Debian's other kernels, each with an initramfs made as tiny's is; and tiny's own kernel as the ELF file that is packed in
// its bzImage. They are fetched through the package manager into the user's cache, never installed.
using System.Buffers.Binary;
using System.Diagnostics;
using Lamina.Images;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class OtherKernelsTests
{
    // Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length.
    private const int SetupSectors = 0x1F1, PayloadOffset = 0x248, PayloadLength = 0x24C;

    private static readonly (byte[] Magic, string[] Command)[] Unpackers =
    [
        ([0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0], ["xz", "-dc", "--single-stream"]),
        ([0x1F, 0x8B], ["gzip", "-dc"]),
        ([0x28, 0xB5, 0x2F, 0xFD], ["zstd", "-dc"]),
        ([0x02, 0x21, 0x4C, 0x18], ["lz4", "-dc"]),
    ];

    [Theory]
    [InlineData("generic", "linux-image-amd64")]
    [InlineData("realtime", "linux-image-rt-amd64")]
    public async Task Other_kernels_of_Debian_reach_the_shell_without_a_complaint(string name, string package)
    {
        var image = await FetchAsync(name, package);

        await BootAsync(image.KernelPath, image.InitrdPath!);
    }

    // The cloud kernel does not read MP tables (X86_MPPARSE). None of Debian's kernels takes devices from the command line
    // (VIRTIO_MMIO_CMDLINE_DEVICES): processors and interrupts are what there is to see.
    [Fact]
    public async Task Without_ACPI_a_kernel_finds_its_processors_and_interrupts_by_the_MP_table()
    {
        var image = await FetchAsync("generic", "linux-image-amd64");
        await using var guest = await LinuxGuest.BootAsync(new MachineDefinition
        {
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = "console=ttyS0 quiet acpi=off" },
            MemoryBytes = 512 << 20,
            Cpus = 2,
        });

        Assert.Equal("2\n", await guest.DoAsync("nproc"));
        Assert.Contains("found SMP MP-table", await guest.DoAsync("dmesg"), StringComparison.Ordinal);
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        Assert.Matches("IO-APIC +4-edge +ttyS0", await guest.DoAsync("cat /proc/interrupts"));
        await guest.DoAsync("sh -c 'seq 1 20000 | sort -r | sha256sum' > /dev/null; for i in $(seq 1 20); do sh -c :; done");
    }

    // The cloud kernel, tiny's, has no driver for the generation ID (VIRT_DRIVERS).
    [Theory]
    [InlineData(MachineType.Micro)]
    [InlineData(MachineType.Pc)]
    public async Task A_kernel_makes_its_random_numbers_anew_where_it_may_be_a_copy_and_only_there(MachineType type)
    {
        const string reseeds = "dmesg | grep -c 'crng reseeded due to virtual machine fork' || true";
        var image = await FetchAsync("generic", "linux-image-amd64");
        var folder = Directory.CreateTempSubdirectory("lamina-generation-").FullName;
        LinuxGuest? guest = null;
        try
        {
            guest = await LinuxGuest.BootAsync(new MachineDefinition
            {
                Type = type,
                Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = "console=ttyS0 quiet" },
                MemoryBytes = 512 << 20,
            });
            foreach (var (move, goesOnAlone, told) in ((int, bool, int)[])[(0, true, 0), (1, false, 1), (2, false, 2), (3, true, 2)])
            {
                var place = Path.Combine(folder, $"{move}");
                await guest.Machine.PauseAsync(TestContext.Current.CancellationToken);
                await guest.Machine.SaveAsync(place, TestContext.Current.CancellationToken);
                var commands = guest.Commands;
                await guest.DisposeAsync();
                guest = LinuxGuest.Restore(place, commands, new MachineHooks { GoesOnAlone = goesOnAlone });
                Assert.Equal($"{told}\n", await guest.DoAsync($"for i in $(seq 100); do [ $({reseeds}) = {told} ] && break; sleep 0.1; done; {reseeds}"));
            }
        }
        finally
        {
            if (guest is not null) await guest.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<Image> FetchAsync(string name, string package)
    {
        AllTests.SkipUnlessAsked("it fetches a kernel of 70 MB");
        var folder = Path.Combine(Path.GetDirectoryName(ImageStore.OfUser().Folder)!, "test-images");
        try
        {
            return await new ImageStore(folder, [new Images.Tiny.TinyImage(name, package)]).FindOrBuildAsync(name, new Progress<ImageProgress>(), TestContext.Current.CancellationToken);
        }
        catch (ImageException e)
        {
            Assert.Skip($"the package {package} cannot be had here: {e.Message}");
            throw;
        }
    }

    [Fact]
    public async Task An_ELF_kernel_reaches_the_shell_without_a_complaint()
    {
        AllTests.SkipUnlessAsked("it is a boot more");
        var image = await TinyImage.GetAsync();
        var folder = Directory.CreateTempSubdirectory("lamina-vmlinux-").FullName;
        try
        {
            var kernel = Path.Combine(folder, "vmlinux");
            await UnpackAsync(image.KernelPath, kernel);

            await BootAsync(kernel, image.InitrdPath!);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task BootAsync(string kernel, string initrd)
    {
        await using var guest = await LinuxGuest.BootAsync(new MachineDefinition
        {
            Boot = new BootSource { KernelPath = kernel, InitrdPath = initrd, CommandLine = "console=ttyS0 quiet" },
            MemoryBytes = 512 << 20,
        });

        Assert.StartsWith("Linux tiny ", await guest.DoAsync("uname -a"), StringComparison.Ordinal);
        await guest.DoAsync("sh -c 'seq 1 20000 | sort -r | sha256sum' > /dev/null; for i in $(seq 1 20); do sh -c :; done; sleep 1");
        KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
    }

    private static async Task UnpackAsync(string bzImage, string vmlinux)
    {
        var bytes = await File.ReadAllBytesAsync(bzImage);
        var start = ((bytes[SetupSectors] + 1) * 512) + BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(PayloadOffset));
        var payload = bytes.AsMemory(start, BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(PayloadLength)));
        var command = Unpackers.FirstOrDefault(unpacker => payload.Span.StartsWith(unpacker.Magic)).Command;
        Assert.SkipWhen(command is null, "the kernel is packed in a way that this test does not know");
        // The payload ends in its unpacked length, which unpackers take for garbage behind the data.
        using var unpacker = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        await using (var file = File.Create(vmlinux))
        {
            var output = unpacker.StandardOutput.BaseStream.CopyToAsync(file);
            var errors = unpacker.StandardError.ReadToEndAsync();
            await unpacker.StandardInput.BaseStream.WriteAsync(payload[..^4]);
            unpacker.StandardInput.Close();
            await output;
            await errors;
        }
        await unpacker.WaitForExitAsync();
    }
}
