// "lamina run" and machines that are kept with firmware: when it is taken, and every mistake that a user can make with it.
using System.Text.Json;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class FirmwareCommandTests : KeptMachines
{
    private const int Code = (0x11 << 1) | 1;

    // Writes 11h to port F4h, prints "up" and halts; 16-bit code at F000:0000.
    private static readonly byte[] s_code =
    [
        0xb0, 0x11, 0xe6, 0xf4,                                             // mov al, 11h; out 0F4h, al
        0xba, 0xf8, 0x03, 0xb0, (byte)'u', 0xee, 0xb0, (byte)'p', 0xee, 0xb0, (byte)'\n', 0xee,
        0xf4, 0xeb, 0xfd,                                                   // hlt; jmp $ - 1
    ];

    private string Firmware => Folder.File("bios.bin");

    private static byte[] Image
    {
        get
        {
            var image = new byte[64 << 10];
            s_code.CopyTo(image, 0);
            new byte[] { 0xea, 0, 0, 0, 0xf0 }.CopyTo(image, image.Length - 16);
            return image;
        }
    }

    private string Disk(string name, bool boots)
    {
        var content = new byte[1 << 20];
        if (boots) (content[0], content[1]) = (0xeb, 0xfe);
        (content[510], content[511]) = (0x55, 0xaa);
        File.WriteAllBytes(Folder.File(name), content);
        return $"{Folder.File(name)},format=raw";
    }

    // As if SeaBIOS had been fetched, on a host that can fetch nothing.
    private Dictionary<string, string?> Fetched()
    {
        var folder = Directory.CreateDirectory(Folder.File("home/cache/firmware/seabios/1-r2-0")).FullName;
        File.WriteAllBytes(Path.Combine(folder, "bios-256k.bin"), Image);
        File.WriteAllBytes(Path.Combine(folder, ImageManifest.FileName), new ImageManifest("seabios", "1", 2, DateTimeOffset.UnixEpoch, "", [new ImageFile("bios-256k.bin", Image.Length, "")], [], []).ToJson());
        File.CreateSymbolicLink(Path.Combine(Path.GetDirectoryName(folder)!, "current"), "1-r2-0");
        return new(Environment) { ["PATH"] = Folder.Folder("none") };
    }

    [Fact]
    public async Task Firmware_of_the_users_own_begins()
    {
        File.WriteAllBytes(Firmware, Image);

        Expect(Code, await RunAsync("run", "--firmware", Firmware, "--debug-exit", "0xf4", "--engine", "translator"));
        Expect(Code, await RunAsync("run", "--firmware", Firmware, "--debug-exit", "0xf4", "--disk", Disk("disk.raw", boots: false), "--boot-menu", "--cpus", "2", "--engine", "translator"));
    }

    [Fact]
    public async Task The_displays_firmware_lies_beside_it_and_is_looked_at()
    {
        File.WriteAllBytes(Firmware, Image);
        var display = Path.Combine(Path.GetDirectoryName(Firmware)!, "vgabios-stdvga.bin");
        File.WriteAllBytes(display, new byte[512]);

        Expect(2, await RunAsync("run", "--machine", "pc", "--firmware", Firmware, "--debug-exit", "0xf4", "--engine", "translator"), $"*{display} is no option ROM: it does not begin with 55h AAh and its length*");
        File.WriteAllBytes(display, [0x55, 0xaa, 1, .. new byte[509]]);
        Expect(Code, await RunAsync("run", "--machine", "pc", "--firmware", Firmware, "--debug-exit", "0xf4", "--engine", "translator"));
        File.WriteAllBytes(display, [0x55, 0xaa, 2, .. new byte[509]]);
        Expect(2, await RunAsync("run", "--machine", "pc", "--firmware", Firmware, "--debug-exit", "0xf4", "--engine", "translator"), "*is no option ROM*");
        // On another machine nobody asks for it.
        Expect(Code, await RunAsync("run", "--firmware", Firmware, "--debug-exit", "0xf4", "--engine", "translator"));
    }

    [Fact]
    public async Task A_disk_with_a_boot_loader_and_nothing_else_to_boot_takes_SeaBIOS()
    {
        var environment = Fetched();
        Task<Outcome> Run(params string[] words) => LaminaProgram.RunAsync(["run", "--debug-exit", "0xf4", "--engine", "translator", .. words], environment);

        Expect(Code, await Run("--disk", Disk("boots.raw", boots: true)));
        Expect(Code, await Run("--disk", Disk("boots.raw", boots: true), "--disk", Disk("data.raw", boots: false)));
        Expect(Code, await Run("--firmware", "seabios"));
        // A partition table alone is no boot loader, and an image that is named is what is booted: what is missing is the image.
        Expect(1, await Run("--disk", Disk("data.raw", boots: false)), "*apt-get*");
        Expect(1, await Run("--disk", Disk("data.raw", boots: false), "--disk", Disk("boots.raw", boots: true)), "*apt-get*");
        Expect(1, await Run("tiny", "--disk", Disk("boots.raw", boots: true)), "*apt-get*");
    }

    [Fact]
    public async Task Firmware_that_cannot_be_fetched_is_one_sentence() =>
        Expect(1, await LaminaProgram.RunAsync(["run", "--firmware", "seabios"], new Dictionary<string, string?>(Environment) { ["PATH"] = Folder.Folder("none") }), "*apt-get*");

    [Fact]
    public async Task A_machine_that_is_kept_starts_with_the_firmware_that_it_was_made_with()
    {
        File.WriteAllBytes(Firmware, Image);
        Expect(0, await RunAsync("create", "probe", "--firmware", Firmware, "--disk", Disk("disk.raw", boots: true), "--engine", "translator"));
        using (var definition = JsonDocument.Parse(File.ReadAllBytes(Home("probe", "machine.json")), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip }))
            Assert.Equal(Firmware, definition.RootElement.GetProperty("firmware").GetString());

        Expect(0, await RunAsync("start", "probe"));
        await PrintedAsync("probe", "up");
        Assert.Contains("firmware ROM", (await RunAsync("inspect", "probe", "firmware")).Output, StringComparison.Ordinal);
        Expect(0, await RunAsync("suspend", "probe"));
        // What it began with is what it goes on with.
        File.WriteAllBytes(Firmware, [.. new byte[64 << 10], .. Image]);
        Expect(0, await RunAsync("start", "probe"));
        Expect(0, await RunAsync("kill", "probe"));
        File.Delete(Firmware);
        Expect(2, await RunAsync("start", "probe"), "*the firmware * does not exist*");
    }

    // Firmware of two parts of 4 KiB each: prints the first letter of its flash chip, which lies just below it, and programs the letter's lowest bit to zero. A
    // processor begins with a code segment that ends at 4 GiB, and so reaches both.
    private static readonly byte[] s_counts =
    [
        0x2e, 0xa0, 0x10, 0xe0, 0x88, 0xc4,                                 // mov al, [cs:e010h]; mov ah, al
        0xba, 0xf8, 0x03, 0xee, 0xb0, (byte)'\n', 0xee,                     // mov dx, 3f8h; out dx, al; mov al, '\n'; out dx, al
        0x88, 0xe0, 0xfe, 0xc8, 0x20, 0xe0,                                 // mov al, ah; dec al; and al, ah
        0x2e, 0xc6, 0x06, 0x10, 0xe0, 0x40, 0x2e, 0xa2, 0x10, 0xe0,         // mov byte [cs:e010h], 40h; mov [cs:e010h], al
        0x2e, 0xc6, 0x06, 0x10, 0xe0, 0xff,                                 // mov byte [cs:e010h], 0ffh
        0xb0, (byte)'k', 0xee, 0xb0, (byte)'\n', 0xee, 0xf4, 0xeb, 0xfd,    // mov al, 'k'; out dx, al; mov al, '\n'; out dx, al; hlt; jmp $ - 1
    ];

    [Fact]
    public async Task Variables_of_a_machine_that_is_kept_outlive_its_process_and_are_its_clones_too()
    {
        var (code, variables) = (new byte[4096], new byte[4096]);
        s_counts.CopyTo(code, 0);
        new byte[] { 0xe9, 0x0d, 0xf0 }.CopyTo(code, code.Length - 16);     // jmp f000h
        variables[0x10] = (byte)'w';
        File.WriteAllBytes(Folder.File("x_CODE.bin"), code);
        File.WriteAllBytes(Folder.File("x_VARS.bin"), variables);
        Expect(0, await RunAsync("create", "probe", "--machine", "pc", "--net", "none", "--firmware", Folder.File("x_CODE.bin"), "--engine", "translator"));

        Expect(0, await RunAsync("start", "probe"));
        await PrintedAsync("probe", "w\nk");
        Assert.Contains("\"file\": \"uefi-variables.fd\"", (await RunAsync("inspect", "probe", "firmware/variables")).Output, StringComparison.Ordinal);
        using (var run = JsonDocument.Parse(File.ReadAllBytes(Home("probe", "run/run.json"))))
        using (var process = System.Diagnostics.Process.GetProcessById(run.RootElement.GetProperty("pid").GetInt32()))
        {
            process.Kill();
            process.WaitForExit();
        }
        Expect(0, await RunAsync("start", "probe"));
        await PrintedAsync("probe", "v\nk");
        Expect(0, await RunAsync("kill", "probe"));

        Expect(0, await RunAsync("clone", "probe", "copy"));
        Expect(0, await RunAsync("start", "copy"));
        await PrintedAsync("copy", "t\nk");
        Expect(0, await RunAsync("suspend", "copy"));
        // What a suspended machine remembers is what its chip goes on with, whatever the file says.
        File.Delete(Home("copy", "run/uefi-variables.fd"));
        Expect(0, await RunAsync("start", "copy"));
        Assert.Equal((byte)('t' & 's'), File.ReadAllBytes(Home("copy", "run/uefi-variables.fd"))[0x10]);
        Expect(0, await RunAsync("kill", "copy"));

        File.WriteAllBytes(Home("probe", "run/uefi-variables.fd"), new byte[100]);
        Expect(2, await RunAsync("start", "probe"), "*has 100 bytes, and this firmware's flash chip has 4096; name the firmware that wrote it, or remove it*");
        File.Delete(Home("probe", "run/uefi-variables.fd"));
        Expect(0, await RunAsync("start", "probe"));
        while (File.ReadAllBytes(Home("probe", "run/uefi-variables.fd"))[0x10] != (byte)'v') await Task.Delay(10, TestContext.Current.CancellationToken);
        Expect(0, await RunAsync("kill", "probe"));
    }

    [Fact]
    public async Task UEFI_chooses_the_machine_pc()
    {
        var folder = Directory.CreateDirectory(Folder.File("home/cache/firmware/ovmf/1-r3-0")).FullName;
        File.WriteAllBytes(Path.Combine(folder, "OVMF_CODE_4M.fd"), Image);
        File.WriteAllBytes(Path.Combine(folder, ImageManifest.FileName), new ImageManifest("ovmf", "1", 3, DateTimeOffset.UnixEpoch, "", [new ImageFile("OVMF_CODE_4M.fd", Image.Length, "")], [], []).ToJson());
        File.CreateSymbolicLink(Path.Combine(Path.GetDirectoryName(folder)!, "current"), "1-r3-0");

        Expect(Code, await RunAsync("run", "--firmware", "ovmf", "--debug-exit", "0xf4", "--engine", "translator"));
        Expect(0, await RunAsync("create", "probe", "--firmware", "ovmf"));
        Assert.Contains("\"machine\": \"pc\"", File.ReadAllText(Home("probe", "machine.json")), StringComparison.Ordinal);
        Expect(2, await RunAsync("run", "--firmware", "ovmf", "--machine", "micro"), "*needs PCI*");
    }

    [Fact]
    public async Task What_cannot_be_is_refused_in_one_sentence()
    {
        File.WriteAllBytes(Firmware, Image);
        File.WriteAllBytes(Folder.File("odd"), new byte[1000]);
        File.WriteAllBytes(Folder.File("empty"), []);
        File.WriteAllBytes(Folder.File("zeros"), new byte[64 << 10]);
        var kernel = Guest.In(Folder, Guest.Halts);

        await Refused("does not exist", "--firmware", Folder.File("none"));
        await Refused("is a folder", "--firmware", Folder.Path);
        await Refused("is empty", "--firmware", Folder.File("empty"));
        await Refused("not whole blocks of 4 KiB", "--firmware", Folder.File("odd"));
        await Refused("no instruction where a processor begins", "--firmware", Folder.File("zeros"));
        await Refused("needs a value", "--firmware", "");
        await Refused("either a kernel or firmware", "--firmware", Firmware, "--kernel", kernel);
        await Refused("leave out 'tiny'", "tiny", "--firmware", Firmware);
        await Refused("are for a kernel that is loaded directly", "--firmware", Firmware, "--initrd", kernel);
        await Refused("are for a kernel that is loaded directly", "--firmware", Firmware, "--cmdline", "quiet");
        await Refused("are for a kernel that is loaded directly", "--firmware", Firmware, "--module", kernel);
        await Refused("--root is for a kernel", "--firmware", Firmware, "--root", Folder.Path);
        await Refused("a machine that boots from its own disks", "--firmware", Firmware, "--disk-size", "40G");

        async Task Refused(string why, params string[] words)
        {
            var outcome = await RunAsync(["run", .. words]);
            Assert.Equal(2, outcome.ExitCode);
            Assert.Contains(why, Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
        }
    }
}
