// Memory in the words of both versions of control groups. Linux Documentation/admin-guide/cgroup-v2.rst, "Memory Interface Files";
// Documentation/admin-guide/cgroup-v1/memory.rst.
using System.Globalization;

namespace Lamina.Host.Groups;

/// <summary>Limits of groups' memory.</summary>
public static class GroupMemory
{
    /// <summary>
    /// Puts a limit in force. In version 2 the kernel holds those back who are over it, and ends nobody (memory.high); version 1 has a
    /// limit alone at which it ends one of them where nothing else can be given up.
    /// </summary>
    /// <param name="group">The group.</param>
    /// <param name="bytes">The limit; null for none.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    public static void SetMemory(this ControlGroup group, ulong? bytes)
    {
        ArgumentNullException.ThrowIfNull(group);
        var text = bytes?.ToString(CultureInfo.InvariantCulture);
        if (group.Version == 2) group.Write("memory.high", text ?? "max");
        else group.Write("memory.limit_in_bytes", text ?? "-1");
    }

    /// <summary>How many processes of it the kernel ended for want of memory; 0 where it does not tell.</summary>
    public static ulong KilledForMemory(this ControlGroup group)
    {
        ArgumentNullException.ThrowIfNull(group);
        var line = group.Read(group.Version == 2 ? "memory.events" : "memory.oom_control")?.Split('\n').FirstOrDefault(line => line.StartsWith("oom_kill ", StringComparison.Ordinal));
        return line is not null && ulong.TryParse(line["oom_kill ".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 0;
    }
}
