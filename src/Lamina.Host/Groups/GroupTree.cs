// Where on this host control groups can be made: a tree of version 2 as far as it was delegated to this user, or the tree of one
// controller of version 1. cgroups(7); Linux Documentation/admin-guide/cgroup-v2.rst and cgroup-v1. Only looked up here; ControlGroup makes them.
namespace Lamina.Host.Groups;

/// <summary>A group below which this user can make groups.</summary>
/// <param name="Version">1 or 2.</param>
/// <param name="Controller">What is controlled: "cpu", "memory".</param>
/// <param name="Path">The group's folder.</param>
public sealed record GroupTree(int Version, string Controller, string Path)
{
    /// <summary>Finds the place for a controller; null where this user has none.</summary>
    public static GroupTree? Find(string controller) => Find(controller, Read, HostFiles.MayWrite);

    /// <summary>The same on a host that a test describes.</summary>
    /// <param name="controller">What is to be controlled.</param>
    /// <param name="read">The text of a file, or null.</param>
    /// <param name="mayWrite">Whether a file or folder may be written.</param>
    public static GroupTree? Find(string controller, Func<string, string?> read, Func<string, bool> mayWrite) => Find(controller, read, mayWrite, group => IsPlace(group, read));

    /// <summary>Finds a group of version 2 that would be this user's place for a controller if no process were in it itself; null where there is none.</summary>
    /// <param name="controller">What is to be controlled.</param>
    /// <param name="read">The text of a file, or null.</param>
    /// <param name="mayWrite">Whether a file or folder may be written.</param>
    public static GroupTree? FindOccupied(string controller, Func<string, string?> read, Func<string, bool> mayWrite) =>
        Find(controller, read, mayWrite, group => TypeOf(group, read) is "domain" or "domain threaded" && !IsPlace(group, read)) is { Version: 2 } found ? found : null;

    private static GroupTree? Find(string controller, Func<string, string?> read, Func<string, bool> mayWrite, Func<string, bool> isPlace)
    {
        ArgumentNullException.ThrowIfNull(read);
        ArgumentNullException.ThrowIfNull(mayWrite);
        // Lines are DEVICE FOLDER TYPE OPTIONS …; proc(5).
        foreach (var mount in Lines(read("/proc/self/mounts")).Select(line => line.Split(' ')))
        {
            if (mount is not [_, var folder, var type, var options, ..]) continue;
            var found = type switch
            {
                "cgroup2" => FindDelegated(controller, folder, OwnGroup(read, ""), read, mayWrite, isPlace),
                "cgroup" when options.Split(',').Contains(controller) => FindOwn(controller, folder, OwnGroup(read, controller), mayWrite),
                _ => null,
            };
            if (found is not null) return found;
        }
        return null;
    }

    // The highest group from the process's own upwards that is this user's: what is made there stays when the session ends that it was made
    // from, and groups that were made from several sessions are side by side.
    private static GroupTree? FindDelegated(string controller, string mount, string own, Func<string, string?> read, Func<string, bool> mayWrite, Func<string, bool> isPlace)
    {
        GroupTree? highest = null;
        for (var group = own; ; group = group[..group.LastIndexOf('/')])
        {
            var path = mount + group;
            if (!mayWrite(path) || !mayWrite($"{path}/cgroup.subtree_control") || !mayWrite($"{path}/cgroup.procs")) return highest;
            if (isPlace(path) && read($"{path}/cgroup.controllers")?.Split(' ', StringSplitOptions.TrimEntries).Contains(controller) == true) highest = new GroupTree(2, controller, path);
            if (group.Length == 0) return highest;
        }
    }

    // What a group has is shared out among those below it only where no process is in itself; the root, which has no type, is free of that.
    // cgroup-v2.rst, "No Internal Process Constraint" and "Threads".
    private static bool IsPlace(string group, Func<string, string?> read) =>
        TypeOf(group, read) is not { } type || type == "domain" && string.IsNullOrWhiteSpace(read($"{group}/cgroup.procs"));

    private static string? TypeOf(string group, Func<string, string?> read) => read($"{group}/cgroup.type")?.Trim();

    private static GroupTree? FindOwn(string controller, string mount, string own, Func<string, bool> mayWrite) =>
        mayWrite(mount + own) && mayWrite($"{mount}{own}/tasks") ? new GroupTree(1, controller, mount + own) : null;

    // Lines of /proc/self/cgroup are ID:CONTROLLERS:PATH; version 2 is "0::PATH". Without a slash at the end, so that the root is "".
    private static string OwnGroup(Func<string, string?> read, string controller)
    {
        foreach (var line in Lines(read("/proc/self/cgroup")))
            if (line.Split(':', 3) is [_, var controllers, var path] && (controller.Length == 0 ? controllers.Length == 0 : controllers.Split(',').Contains(controller))) return path.TrimEnd('/');
        return "";
    }

    private static string[] Lines(string? text) => text?.Split('\n', StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
