// From the names in a boot source to a plan: opens the files, which stay open as long as the machine, since each reset
// reads them again.
using Lamina.Core.Units;
using Lamina.Host.Io;

namespace Lamina.Boot;

/// <summary>Opens and plans.</summary>
internal static class BootLoader
{
    /// <summary>Plans the boot of a source in a machine.</summary>
    /// <param name="source">The source.</param>
    /// <param name="map">The machine's memory.</param>
    /// <param name="firmware">The tables that the kernel is given.</param>
    /// <param name="units">Whose the files are.</param>
    /// <param name="patience">How long nothing may come from a file that is a pipe, where that is less than usual.</param>
    /// <param name="cancellationToken">Ends the wait for one.</param>
    /// <exception cref="MachineException">A file cannot be used.</exception>
    internal static BootPlan Plan(BootSource source, MemoryMap map, FirmwareTables firmware, UnitTree units, TimeSpan? patience = null, CancellationToken cancellationToken = default)
    {
        var memory = map.Ram.Aggregate(0ul, (sum, range) => sum + range.Length);
        BootFile Open(string what, string path, string? name = null) => units.AddAside($"boot/{name ?? what}", BootFile.Open(what, path, memory, patience: patience, cancellationToken: cancellationToken));
        var kernel = Open("kernel", source.KernelPath ?? throw new MachineException("the machine has nothing to boot: neither a kernel nor a disk; name one"));
        var initrd = source.InitrdPath is { } path ? Open("initrd", path) : null;
        if (initrd is not null && InitrdCheck.WhyCut(initrd) is { } cut) throw new MachineException(MachineError.File, $"the initrd {source.InitrdPath} is cut off: {cut}; copy or make it anew");
        var modules = source.Modules
            .Select((m, i) => new LoadedModule(Open("module", m.Path, $"module {i}"), m.CommandLine.Length == 0 ? m.Path : $"{m.Path} {m.CommandLine}"))
            .ToArray();
        return KernelFormat.Plan(new BootRequest(map, firmware, kernel, initrd, source.CommandLine ?? BootSource.DefaultCommandLine, modules)
        {
            Unpack = (payload, isUsable) => !source.SelfUnpack && UnpackedKernels.Place is { } folder && UnpackedKernels.Open(folder, kernel, payload, isUsable) is { } file ? units.AddAside("boot/unpacked kernel", file) : null,
        });
    }

    /// <summary>Unpacks the kernel of a source, where that can be kept and has not been done; for programs that create the machine where it cannot reach the folder.</summary>
    internal static void Unpack(BootSource source)
    {
        if (source.SelfUnpack || source.KernelPath is not { } path || UnpackedKernels.Place is not { } folder || NamedFile.KindOf(path) is not NamedKind.File) return;
        using var kernel = BootFile.Open("kernel", path, ulong.MaxValue);
        BzImageLoader.Unpack(kernel, (payload, isUsable) => UnpackedKernels.Open(folder, kernel, payload, isUsable));
    }
}
