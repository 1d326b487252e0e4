// What the outer guest finds in its memory: the image tiny as its own system and as what is booted in it, KVM's modules out of the
// same kernel's package, the program that ./test built (or one of its own), two test programs with their runtime, and the libraries of
// this host that the runtime wants.
using System.Diagnostics;
using Lamina.Images;
using Lamina.Tests.Boot.Support;
using Lamina.Tests.Cli.Support;

namespace Lamina.Tests.Nested;

internal sealed class OuterGuest(Image image, string scratch, IReadOnlyList<string> projects)
{
    private const string KernelPackage = "linux-image-cloud-amd64";
    private const string Tool = "socat";
    private const int Executable = 0b111_101_101;

    // Projects that every run has, beside the program.
    private static readonly string[] s_projects = ["tests/Engine.Shared.Tests", "tests/Boot.Tests"];

    private static readonly string[] s_libraries =
        ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "liblzma.so.5", "libssl.so.3", "libcrypto.so.3"];

    private static readonly string[] s_libraryFolders = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"];

    /// <summary>Writes the initial RAM disk: tiny's own, and behind it an archive with the rest, which Linux unpacks over it.</summary>
    internal async Task WriteAsync(string path)
    {
        var programs = Path.Combine(scratch, "programs");
        foreach (var project in s_projects.Concat(projects)) await PublishAsync(project, programs);
        // Native code is one file, in place of what the tests of the program have beside them; what a runtime runs is published with one.
        if (LaminaProgram.IsNative) File.Copy(LaminaProgram.File, Path.Combine(programs, Path.GetFileName(LaminaProgram.File)), overwrite: true);
        else await PublishAsync("src/Lamina.Cli", programs);
        // What tests give their guests where a host has it.
        var tools = Path.Combine(scratch, "tools");
        HostProgram.TryCopy(Tool, tools);
        var modules = await CollectModulesAsync();
        using var stream = File.Create(path);
        using (var own = File.OpenRead(image.InitrdPath!)) await own.CopyToAsync(stream);
        var cpio = new CpioWriter(stream, DateTimeOffset.UnixEpoch);
        cpio.AddFile("init", File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "init")), Executable);
        cpio.AddFile("session", File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "session")));
        AddModules(cpio, modules);
        AddLibraries(cpio);
        if (Directory.Exists(tools)) AddTool(cpio, tools);
        AddImage(cpio);
        AddFolder(cpio, programs, "app");
        cpio.Finish();
    }

    private static async Task PublishAsync(string project, string target)
    {
        var start = new ProcessStartInfo("dotnet") { WorkingDirectory = SourceRoot, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var word in (string[])["publish", project, "-c", "Release", "-r", "linux-x64", "--self-contained", "-o", target, "--artifacts-path", Path.Combine(target, "..", "artifacts"),
            "-m:1", "-v", "quiet", "--nologo", "-p:UseSharedCompilation=false"])
            start.ArgumentList.Add(word);
        using var publish = Process.Start(start) ?? throw new InvalidOperationException("dotnet does not start");
        var output = publish.StandardOutput.ReadToEndAsync();
        var errors = publish.StandardError.ReadToEndAsync();
        await publish.WaitForExitAsync();
        if (publish.ExitCode != 0) throw new InvalidOperationException($"{project} cannot be published: {await output}{await errors}");
    }

    private static string SourceRoot
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Lamina.slnx"))) folder = folder.Parent;
            return folder?.FullName ?? throw new InvalidOperationException("the test does not run inside the house");
        }
    }

    private async Task<ModuleSet> CollectModulesAsync()
    {
        var apt = AptPackages.Open(Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName, new Progress<ImageProgress>());
        var newest = await apt.FindAsync([KernelPackage], CancellationToken.None);
        var name = newest[0].Depends.First(package => package.StartsWith("linux-image-", StringComparison.Ordinal));
        var package = (await apt.FindAsync([name], CancellationToken.None))[0];
        if (package.Version != image.Version) throw new ImageException($"the image tiny has the kernel {image.Version} and the package sources have {package.Version}; build it anew: lamina image build");
        var root = Directory.CreateDirectory(Path.Combine(scratch, "kernel")).FullName;
        await apt.UnpackAsync(await apt.DownloadAsync(package, CancellationToken.None), root, CancellationToken.None);
        var folders = ((string[])["lib/modules", "usr/lib/modules"]).Select(folder => Path.Combine(root, folder)).Where(Directory.Exists);
        return ModuleSet.Collect(Directory.GetDirectories(folders.First()).Single(), ["kvm_amd", "tun"], []);
    }

    private static void AddModules(CpioWriter cpio, ModuleSet modules)
    {
        cpio.AddDirectory("kvm");
        foreach (var module in modules.Modules) cpio.AddFile($"kvm/{module.Info.Name}.ko", module.Content.Span);
        cpio.AddFile("kvm/order", System.Text.Encoding.ASCII.GetBytes(string.Concat(modules.Modules.Select(module => $"{module.Info.Name}.ko\n"))));
    }

    private static void AddLibraries(CpioWriter cpio)
    {
        cpio.AddDirectory("lib64");
        cpio.AddFile("lib64/ld-linux-x86-64.so.2", File.ReadAllBytes("/lib64/ld-linux-x86-64.so.2"), Executable);
        cpio.AddDirectory("lib/x86_64-linux-gnu");
        foreach (var library in s_libraries)
            if (s_libraryFolders.Select(folder => Path.Combine(folder, library)).FirstOrDefault(File.Exists) is { } found)
                cpio.AddFile($"lib/x86_64-linux-gnu/{library}", File.ReadAllBytes(found), Executable);
    }

    // A program and its libraries where a host has them; those that others want as well are there.
    private static void AddTool(CpioWriter cpio, string folder)
    {
        foreach (var name in (string[])["usr", "usr/bin"]) cpio.AddDirectory(name);
        cpio.AddFile($"usr/bin/{Tool}", File.ReadAllBytes(Path.Combine(folder, Tool)), Executable);
        foreach (var library in Directory.GetFiles(folder, "*.so*").Where(file => !s_libraries.Contains(Path.GetFileName(file))))
            cpio.AddFile($"lib/x86_64-linux-gnu/{Path.GetFileName(library)}", File.ReadAllBytes(library), Executable);
    }

    // As the user's cache holds it: images/NAME/VERSION, and the link "current".
    private void AddImage(CpioWriter cpio)
    {
        foreach (var folder in (string[])["cache", "cache/lamina", "cache/lamina/images", "cache/lamina/images/tiny"]) cpio.AddDirectory(folder);
        var version = Path.GetFileName(image.Folder.TrimEnd('/'));
        AddFolder(cpio, image.Folder, $"cache/lamina/images/tiny/{version}");
        cpio.AddLink("cache/lamina/images/tiny/current", version);
    }

    private static void AddFolder(CpioWriter cpio, string from, string to)
    {
        cpio.AddDirectory(to);
        foreach (var folder in Directory.GetDirectories(from)) AddFolder(cpio, folder, $"{to}/{Path.GetFileName(folder)}");
        foreach (var file in Directory.GetFiles(from)) cpio.AddFile($"{to}/{Path.GetFileName(file)}", File.ReadAllBytes(file), Executable);
    }
}
