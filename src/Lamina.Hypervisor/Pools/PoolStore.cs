// The pools of a user: a file each (DefinitionJson) in the folder "pools" beside the machines'. A pool is a name and what may be taken in it;
// which machines are in it stands in their definitions. What a pool holds is put in force by whoever starts a machine in it (Limiting).
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Pools;

/// <summary>A pool by its name.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Definition">What it is.</param>
public sealed record Pool(string Name, PoolDefinition Definition);

/// <summary>The stored pools of a user.</summary>
/// <param name="machines">The machines that can be in them.</param>
public sealed class PoolStore(MachineStore machines)
{
    private const string Extension = ".json";

    private readonly string _folder = Path.Combine(Path.GetDirectoryName(machines.Folder)!, "pools");

    /// <summary>The pools that there are, by name.</summary>
    /// <exception cref="MachineException">A file cannot be used.</exception>
    public IReadOnlyList<Pool> List() => [.. Names.Select(Find)];

    /// <summary>Their names.</summary>
    public IReadOnlyList<string> Names => !Directory.Exists(_folder) ? []
        : [.. Directory.EnumerateFiles(_folder, "*" + Extension).Select(path => Path.GetFileNameWithoutExtension(path)).Where(DeviceDefinition.IsName).Order(StringComparer.Ordinal)];

    /// <summary>A pool that there is.</summary>
    /// <exception cref="MachineException">There is none, or its file cannot be used.</exception>
    public Pool Find(string name)
    {
        CheckName(name);
        var path = PathOf(name);
        try
        {
            return new Pool(name, DefinitionJson.ReadPool(File.ReadAllBytes(path)));
        }
        catch (Exception absent) when (absent is FileNotFoundException or DirectoryNotFoundException)
        {
            var meant = Spelling.Nearest(name, Names);
            throw new MachineException($"there is no pool {name}{(meant is null ? $"; make it with 'lamina pool create {name}'" : $"; did you mean {meant}?")}");
        }
        catch (MachineException wrong)
        {
            throw new MachineException(MachineError.File, $"{path}, {wrong.Message}; mend it, or remove the pool with 'lamina pool rm {name}'", wrong);
        }
    }

    /// <summary>A pool and those that it is a part of, itself first.</summary>
    /// <exception cref="MachineException">One is not there, or is a part of itself.</exception>
    public IReadOnlyList<Pool> WithParents(string name) => WithParents(Find(name));

    /// <summary>Makes a pool.</summary>
    /// <exception cref="MachineException">There is one of that name, or it cannot be a part of what it names.</exception>
    public void Create(string name, PoolDefinition definition)
    {
        CheckName(name);
        using var order = Lock();
        if (File.Exists(PathOf(name))) throw new MachineException(MachineError.Busy, $"there is a pool {name} already; change it with 'lamina pool set {name}'");
        Write(new Pool(name, definition));
    }

    /// <summary>Changes a pool.</summary>
    /// <returns>What it is now.</returns>
    /// <exception cref="MachineException">There is none, or it cannot be a part of what it names.</exception>
    public Pool Change(string name, Func<PoolDefinition, PoolDefinition> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        using var order = Lock();
        var pool = new Pool(name, change(Find(name).Definition));
        Write(pool);
        return pool;
    }

    /// <summary>Removes a pool.</summary>
    /// <exception cref="MachineException">There is none, or something is in it.</exception>
    public void Remove(string name)
    {
        CheckName(name);
        using var order = Lock();
        if (!File.Exists(PathOf(name))) _ = Find(name);
        if (machines.List().FirstOrDefault(machine => machine.Definition?.Pool == name) is { } member) throw new MachineException(MachineError.Busy, $"the machine {member.Name} is in the pool {name}; take it out first: \"pool\" in {member.Home.Definition}");
        // One whose own file is damaged can be removed, and so can one beside it.
        foreach (var other in Names.Where(other => other != name))
            if (TryFind(other)?.Definition.Parent == name) throw new MachineException(MachineError.Busy, $"the pool {other} is a part of {name}; take it out first: lamina pool set {other} --parent none");
        File.Delete(PathOf(name));
    }

    private Pool? TryFind(string name)
    {
        try
        {
            return Find(name);
        }
        catch (MachineException)
        {
            return null;
        }
    }

    private List<Pool> WithParents(Pool pool)
    {
        var chain = new List<Pool> { pool };
        while (chain[^1].Definition.Parent is { } parent)
        {
            if (chain.Any(below => below.Name == parent)) throw new MachineException($"the pool {parent} would be a part of itself; give {pool.Name} another parent");
            chain.Add(Find(parent));
        }
        return chain;
    }

    private void Write(Pool pool)
    {
        if (pool.Definition.Parent == pool.Name) throw new MachineException($"the pool {pool.Name} would be a part of itself; give it another parent");
        _ = WithParents(pool);
        HostFiles.Replace(PathOf(pool.Name), DefinitionJson.Write(pool.Definition), durable: true);
    }

    private string PathOf(string name) => Path.Combine(_folder, name + Extension);

    private HostLock Lock()
    {
        Directory.CreateDirectory(_folder, MachineStore.Private);
        return HostLock.TryTake(Path.Combine(_folder, ".lock")) ?? throw new MachineException(MachineError.Busy, $"another program is changing pools in {_folder}; try again when it is done");
    }

    private static void CheckName(string name)
    {
        if (!DeviceDefinition.IsName(name)) throw new MachineException($"'{(name.Length <= 40 ? name : $"{name[..40]}…")}' cannot be a pool's name; use lower-case letters, digits and hyphens, up to {DeviceDefinition.LongestName}");
    }
}
