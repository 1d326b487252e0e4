// Chooses the modules a guest needs out of a kernel package, with everything they depend on, in an order in which they
// can be inserted, and writes the tables that modprobe reads in the guest. It does not write the archive.
using System.Text;
using Lamina.Host;

namespace Lamina.Images;

/// <summary>A module that goes into an image.</summary>
/// <param name="Path">Relative to lib/modules/RELEASE, uncompressed: ends in ".ko".</param>
/// <param name="Info">What the module says about itself.</param>
/// <param name="Content">The uncompressed file.</param>
internal sealed record PackedModule(string Path, KernelModule Info, ReadOnlyMemory<byte> Content);

/// <summary>A closed set of modules: whatever one depends on is in it, earlier, or is built into the kernel.</summary>
internal sealed class ModuleSet
{
    private readonly List<PackedModule> _modules = [];
    private readonly Dictionary<string, PackedModule> _byName = [];

    private ModuleSet()
    {
    }

    /// <summary>The modules, each after those it depends on.</summary>
    public IReadOnlyList<PackedModule> Modules => _modules;

    /// <summary>Collects modules and what they depend on.</summary>
    /// <param name="folder">The unpacked lib/modules/RELEASE.</param>
    /// <param name="required">Names that must be there, as modules or built in.</param>
    /// <param name="optional">Names that are taken where the kernel has them.</param>
    /// <exception cref="ImageException">A required module or a dependency is missing, or a module's file is not understood.</exception>
    public static ModuleSet Collect(string folder, IEnumerable<string> required, IEnumerable<string> optional)
    {
        var files = Directory.EnumerateFiles(folder, "*.ko*", SearchOption.AllDirectories)
            .ToDictionary(file => NameOf(file), StringComparer.Ordinal);
        var listOfBuiltIns = Path.Combine(folder, "modules.builtin");
        var builtIn = File.Exists(listOfBuiltIns) ? File.ReadLines(listOfBuiltIns).Select(NameOf).ToHashSet() : [];
        var set = new ModuleSet();
        foreach (var name in required)
            set.Add(KernelModule.Normalize(name), "the guest", folder, files, builtIn);
        foreach (var name in optional.Select(KernelModule.Normalize).Where(files.ContainsKey))
            set.Add(name, "the guest", folder, files, builtIn);
        return set;
    }

    /// <summary>The text of modules.dep: each module, a colon, and all it depends on, what is to be inserted first last.</summary>
    public string DependencyTable()
    {
        var text = new StringBuilder();
        foreach (var module in _modules)
        {
            text.Append(module.Path).Append(':');
            foreach (var needed in Needed(module)) text.Append(' ').Append(needed.Path);
            text.Append('\n');
        }
        return text.ToString();
    }

    /// <summary>The text of modules.alias: which module serves which device.</summary>
    public string AliasTable()
    {
        var text = new StringBuilder();
        foreach (var module in _modules)
            foreach (var alias in module.Info.Aliases)
                text.Append("alias ").Append(alias).Append(' ').Append(module.Info.Name).Append('\n');
        return text.ToString();
    }

    private static string NameOf(string file)
    {
        var name = Path.GetFileName(file);
        var end = name.IndexOf(".ko", StringComparison.Ordinal);
        return KernelModule.Normalize(end < 0 ? name : name[..end]);
    }

    private void Add(string name, string neededBy, string folder, Dictionary<string, string> files, HashSet<string> builtIn)
    {
        if (_byName.ContainsKey(name) || builtIn.Contains(name)) return;
        if (!files.TryGetValue(name, out var file))
            throw new ImageException($"the kernel package lacks the module {name}, which {neededBy} needs");
        var content = Read(file);
        var info = KernelModule.TryParse(content.Span, name)
            ?? throw new ImageException($"the kernel package's module {Path.GetFileName(file)} is not a 64-bit ELF module");
        var path = Path.GetRelativePath(folder, file);
        var module = new PackedModule(path[..(path.LastIndexOf(".ko", StringComparison.Ordinal) + 3)], info, content);
        // Entered before its dependencies, so that a cycle in a damaged package ends; listed behind them.
        _byName.Add(name, module);
        foreach (var dependency in info.Depends) Add(dependency, name, folder, files, builtIn);
        _modules.Add(module);
    }

    // All dependencies, direct and indirect; the latest of the insertion order comes first.
    private IEnumerable<PackedModule> Needed(PackedModule module)
    {
        var needed = new HashSet<PackedModule>();
        var open = new Stack<PackedModule>([module]);
        while (open.TryPop(out var next))
            foreach (var name in next.Info.Depends)
                if (_byName.TryGetValue(name, out var dependency) && dependency != module && needed.Add(dependency)) open.Push(dependency);
        return _modules.Where(needed.Contains).Reverse();
    }

    private static ReadOnlyMemory<byte> Read(string file)
    {
        var bytes = File.ReadAllBytes(file);
        return Path.GetExtension(file) switch
        {
            ".ko" => bytes,
            ".xz" => Xz.Decompress(bytes, maximumLength: 64 << 20),
            var other => throw new ImageException($"the kernel package's modules are compressed as {other}, which is not understood"),
        };
    }
}
