// How much memory this process can still have: what the host has, and what the control groups leave that it is in, its own and those
// above it. Read from the kernel's files alone; doctor and the start of a machine ask.
using System.Globalization;

namespace Lamina.Doctor;

/// <summary>The memory that is to be had.</summary>
internal static class HostMemory
{
    // cgroups(7). Version 2 has one tree, version 1 one for each controller; where a tree is mounted is what distributions agree on.
    private const string Tree = "/sys/fs/cgroup", MemoryTree = "/sys/fs/cgroup/memory";

    /// <summary>Bytes that are to be had; null where the kernel does not tell.</summary>
    /// <param name="read">The text of a file, or null.</param>
    internal static ulong? Free(Func<string, string?> read)
    {
        if (Field(read("/proc/meminfo"), "MemAvailable:") is not { } kibiBytes) return null;
        var free = kibiBytes << 10;
        foreach (var left in LeftInGroups(read)) free = Math.Min(free, left);
        return free;
    }

    /// <summary>Bytes that there are in all; null where the kernel does not tell.</summary>
    /// <param name="read">The text of a file, or null.</param>
    internal static ulong? Total(Func<string, string?> read)
    {
        if (Field(read("/proc/meminfo"), "MemTotal:") is not { } kibiBytes) return null;
        var total = kibiBytes << 10;
        foreach (var (group, isSecond) in Groups(read))
            if (Number(read($"{group}/{(isSecond ? "memory.max" : "memory.limit_in_bytes")}")) is { } limit) total = Math.Min(total, limit);
        return total;
    }

    /// <summary>The number behind a name at the beginning of a line.</summary>
    internal static ulong? Field(string? text, string name) => Number(Line(text, name)?.Replace("kB", "", StringComparison.Ordinal));

    /// <summary>What stands behind a name at the beginning of a line.</summary>
    internal static string? Line(string? text, string name) =>
        text?.Split('\n').FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal)) is { } line ? line[name.Length..].Trim() : null;

    /// <summary>A text that is a number and nothing else.</summary>
    internal static ulong? Number(string? text) => ulong.TryParse(text?.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static IEnumerable<ulong> LeftInGroups(Func<string, string?> read)
    {
        foreach (var (group, isSecond) in Groups(read))
            if ((isSecond ? Left(read, group, "memory.max", "memory.current", "inactive_file ") : Left(read, group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")) is { } left) yield return left;
    }

    // The groups that this process is in, its own and those above. Lines of /proc/self/cgroup are ID:CONTROLLERS:PATH; version 2 is "0::PATH".
    private static IEnumerable<(string Group, bool IsSecond)> Groups(Func<string, string?> read)
    {
        foreach (var line in read("/proc/self/cgroup")?.Split('\n') ?? [])
        {
            if (line.Split(':', 3) is not [var number, var controllers, var path] || !path.StartsWith('/')) continue;
            if (number == "0" && controllers.Length == 0)
            {
                foreach (var group in WithParents(path)) yield return (Tree + group, true);
            }
            else if (controllers.Split(',').Contains("memory"))
            {
                foreach (var group in WithParents(path)) yield return (MemoryTree + group, false);
            }
        }
    }

    // The path of a group may be the host's where a container sees its own group at the root: what is not there says nothing.
    private static IEnumerable<string> WithParents(string path)
    {
        for (var group = path.TrimEnd('/'); group.Length != 0; group = group[..group.LastIndexOf('/')]) yield return group;
        yield return "";
    }

    // Pages of files that nobody has used for long are the group's, and are given up for others. "max" is no number.
    private static ulong? Left(Func<string, string?> read, string group, string limitFile, string usageFile, string spareField)
    {
        if (Number(read($"{group}/{limitFile}")) is not { } limit) return null;
        var usage = Number(read($"{group}/{usageFile}")) ?? 0;
        usage -= Math.Min(usage, Field(read($"{group}/memory.stat"), spareField) ?? 0);
        return limit - Math.Min(limit, usage);
    }
}
