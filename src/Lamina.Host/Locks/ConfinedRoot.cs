// A root folder that holds nothing but what a process reaches: a file system in memory, in which the host's folders and files are mounted at
// their own places, each only as far as its rights go. A second one lies within it, for when all that the process needs to begin is open
// (ConfinedProcess.Empty). Source: mount(2), mount_setattr(2), pivot_root(2), which has the way to leave nothing of the old root behind.
using Lamina.Host.Interop;

namespace Lamina.Host.Locks;

/// <summary>Makes calls for a child that give it such a root.</summary>
internal static class ConfinedRoot
{
    /// <summary>The root within the root.</summary>
    internal const string Later = "/.lamina-later";

    private const string Devices = "/dev/", Processes = "/proc";

    // It holds folders and empty files to mount upon, no bytes.
    private const string Room = "size=256k,mode=755";

    /// <summary>Adds the calls.</summary>
    /// <param name="program">To what.</param>
    /// <param name="place">An empty folder that is mounted upon; the host sees nothing of it.</param>
    /// <param name="first">What is reached until <see cref="Later"/> is entered.</param>
    /// <param name="later">What is reached from then on.</param>
    /// <param name="ownProcesses">Whether /proc is the one of a PID namespace that the child is in, and not the host's.</param>
    internal static void Add(ChildProgram program, string place, IEnumerable<PathRule> first, IEnumerable<PathRule> later, bool ownProcesses)
    {
        // What the host unmounts goes here, too; nothing goes the other way.
        program.Add(SystemCall.mount, 0, program.Text("/"), 0, Libc.MS_REC | Libc.MS_SLAVE);
        program.Add(SystemCall.mount, program.Text("lamina"), program.Text(place), program.Text("tmpfs"), Libc.MS_NOSUID | Libc.MS_NODEV | Libc.MS_NOEXEC, program.Text(Room));
        // Or it would be mounted within itself, where it lies below a folder that is.
        program.Add(SystemCall.mount, 0, program.Text(place), 0, Libc.MS_UNBINDABLE);
        // Whoever the process becomes comes through its folders. Nothing else is kept until the mask is what it was.
        program.Add(SystemCall.umask, 0, result: ChildProgram.Result.Keeps);
        AddPaths(program, place, "", first, ownProcesses);
        AddPaths(program, place, Later, later, ownProcesses);
        program.Add(SystemCall.umask, result: ChildProgram.Result.UsesKept);
        program.Add(SystemCall.chdir, program.Text(place));
        var here = program.Text(".");
        program.Add(SystemCall.pivot_root, here, here);
        program.Add(SystemCall.umount2, here, Libc.MNT_DETACH);
        SetAttributes(program, "/", Libc.MOUNT_ATTR_RDONLY, recursive: false);
    }

    private static void AddPaths(ChildProgram program, string place, string within, IEnumerable<PathRule> rules, bool ownProcesses)
    {
        var root = place + within;
        var made = new HashSet<string>(StringComparer.Ordinal);
        MakeFolder(program, root, "", made);
        var mounted = new List<PathRule>();
        foreach (var (path, rights) in Sorted(rules))
        {
            // What is below a folder that is there has its place.
            var above = mounted.FindLast(other => path.StartsWith(other.Path + "/", StringComparison.Ordinal));
            if (above.Path is not null && (above.Rights & rights) == rights) continue;
            var isFolder = Directory.Exists(path);
            if (!isFolder && !File.Exists(path)) continue;
            if (above.Path is null)
            {
                MakeFolder(program, root, isFolder ? path : Path.GetDirectoryName(path)!, made);
                if (!isFolder) program.Add(SystemCall.mknod, program.Text(root + path), Libc.S_IFREG | 0b110_000_000, result: ChildProgram.Result.MayFail);
            }
            mounted.Add(new PathRule(path, rights));
            var at = program.Text(root + path);
            // The second is the first, or Landlock's rules would not know it.
            if (path == Processes && ownProcesses && within.Length > 0) program.Add(SystemCall.mount, program.Text(place + Processes), at, 0, Libc.MS_BIND | Libc.MS_REC);
            else if (path == Processes && ownProcesses) program.Add(SystemCall.mount, program.Text("proc"), at, program.Text("proc"), Libc.MS_NOSUID | Libc.MS_NODEV | Libc.MS_NOEXEC);
            else program.Add(SystemCall.mount, program.Text(path), at, 0, Libc.MS_BIND | Libc.MS_REC);
            SetAttributes(program, root + path, Attributes(path, rights), recursive: true);
        }
    }

    // Folders before what is below them; each with all the rights that it is given, and where it really is as well as where links say it is.
    private static IEnumerable<PathRule> Sorted(IEnumerable<PathRule> rules) => rules
        .SelectMany(rule => HostFiles.RealPath(rule.Path) is { } real && real != rule.Path ? (PathRule[])[rule, rule with { Path = real }] : [rule])
        .GroupBy(rule => rule.Path.Length > 1 ? rule.Path.TrimEnd('/') : rule.Path, (path, same) => new PathRule(path, same.Aggregate(PathRights.None, (all, rule) => all | rule.Rights)), StringComparer.Ordinal)
        .Where(rule => rule.Path is ['/', _, ..])
        .OrderBy(rule => rule.Path, StringComparer.Ordinal);

    private static void MakeFolder(ChildProgram program, string root, string path, HashSet<string> made)
    {
        if (!made.Add(path)) return;
        if (path.LastIndexOf('/') is > 0 and var above) MakeFolder(program, root, path[..above], made);
        program.Add(SystemCall.mkdir, program.Text(root + path), 0b111_101_101, result: ChildProgram.Result.MayFail);
    }

    private static ulong Attributes(string path, PathRights rights) => Libc.MOUNT_ATTR_NOSUID
        | (path.StartsWith(Devices, StringComparison.Ordinal) ? 0 : Libc.MOUNT_ATTR_NODEV)
        | (rights.HasFlag(PathRights.Execute) ? 0 : Libc.MOUNT_ATTR_NOEXEC)
        | ((rights & (PathRights.Write | PathRights.Change)) == 0 ? Libc.MOUNT_ATTR_RDONLY : 0);

    private static unsafe void SetAttributes(ChildProgram program, string path, ulong attributes, bool recursive)
    {
        // struct mount_attr: what is set, what is cleared, propagation, a user namespace.
        var words = program.Memory(Libc.MountAttributesLength);
        *(ulong*)words = attributes;
        program.Add(SystemCall.mount_setattr, Libc.AT_FDCWD, program.Text(path), recursive ? Libc.AT_RECURSIVE : 0, words, Libc.MountAttributesLength);
    }
}
