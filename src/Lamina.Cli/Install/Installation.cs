// The program and what belongs to it in the folders where systems look for such things, below a prefix (Filesystem Hierarchy Standard
// 3.0, 4). A list of what was put there stays with it: by that the next version replaces it, and uninstall removes it and nothing else.
// Machines and caches are not its affair.
using System.Text;
using Lamina.Host;

namespace Lamina.Cli.Install;

/// <summary>A file to install.</summary>
/// <param name="Path">Below the prefix.</param>
/// <param name="Content">Its bytes.</param>
/// <param name="IsProgram">It can be executed.</param>
internal sealed record InstalledFile(string Path, Func<Stream> Content, bool IsProgram = false)
{
    /// <summary>A text.</summary>
    public InstalledFile(string path, string text) : this(path, () => new MemoryStream(Encoding.UTF8.GetBytes(text)))
    {
    }
}

/// <summary>An installation.</summary>
/// <param name="prefix">Where it is when it is used.</param>
/// <param name="root">A folder that stands for / while it is made; "/" otherwise.</param>
internal sealed class Installation(string prefix, string root = "/")
{
    private const string List = "share/lamina/installed", NewFile = ".lamina-new-";

    private const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private const UnixFileMode Executable = Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly string _base = Path.Combine(root, prefix.TrimStart('/'));

    /// <summary>The prefix where none is named: the whole host's for root, else the user's own.</summary>
    public static string UsualPrefix => Environment.IsPrivilegedProcess ? "/usr/local" : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local");

    /// <summary>Whether something is installed here.</summary>
    public bool Exists => File.Exists(Path.Combine(_base, List));

    /// <summary>Puts files in place, each whole or not at all, and removes what an earlier version had beside them.</summary>
    /// <param name="files">All that belongs to the program.</param>
    /// <param name="links">Symbolic links: path below the prefix, and what it says.</param>
    /// <exception cref="IOException">The host refuses.</exception>
    public void Write(IReadOnlyList<InstalledFile> files, IReadOnlyList<(string Path, string Target)> links)
    {
        var before = Read();
        var folders = new List<string>();
        try
        {
            foreach (var file in files)
            {
                MakeFolder(Path.GetDirectoryName(file.Path)!, folders);
                Put(file.Path, temporary =>
                {
                    using (var to = new FileStream(temporary, FileMode.CreateNew))
                    using (var from = file.Content()) from.CopyTo(to);
                    File.SetUnixFileMode(temporary, file.IsProgram ? Executable : Readable);
                });
            }
            foreach (var (path, target) in links)
            {
                MakeFolder(Path.GetDirectoryName(path)!, folders);
                Put(path, temporary => File.CreateSymbolicLink(temporary, target));
            }
            var now = files.Select(file => file.Path).Concat(links.Select(link => link.Path)).ToList();
            foreach (var gone in before.Where(path => !path.EndsWith('/')).Except(now)) File.Delete(Path.Combine(_base, gone));
            MakeFolder(Path.GetDirectoryName(List)!, folders);
            // The innermost folders last, as they were made; those of before are still ours.
            var lines = now.Concat(before.Where(path => path.EndsWith('/'))).Concat(folders).Distinct();
            Put(List, temporary => File.WriteAllText(temporary, string.Concat(lines.Select(line => line + "\n"))));
        }
        catch (UnauthorizedAccessException refused)
        {
            throw new IOException($"{_base} may not be written to; become root, or name a folder of your own (--prefix ~/.local)", refused);
        }
    }

    /// <summary>Removes what was put here.</summary>
    /// <returns>How many files there were.</returns>
    /// <exception cref="IOException">The host refuses.</exception>
    public int Remove()
    {
        var lines = Read();
        var count = 0;
        try
        {
            foreach (var path in lines.Where(path => !path.EndsWith('/')))
            {
                var file = new FileInfo(Path.Combine(_base, path));
                if (!file.Exists && file.LinkTarget is null) continue;
                file.Delete();
                count++;
            }
            File.Delete(Path.Combine(_base, List));
            foreach (var folder in lines.Where(path => path.EndsWith('/')).Reverse())
            {
                var path = Path.Combine(_base, folder);
                if (Directory.Exists(path) && !Directory.EnumerateFileSystemEntries(path).Any()) Directory.Delete(path);
            }
        }
        catch (UnauthorizedAccessException refused)
        {
            throw new IOException($"{_base} may not be written to; become who installed it (root)", refused);
        }
        return count;
    }

    private string[] Read()
    {
        if (!Exists) return [];
        var lines = File.ReadAllLines(Path.Combine(_base, List));
        // Whoever can write to the list can remove files anyway; a damaged one does not lead us out of the prefix.
        if (lines.FirstOrDefault(line => line.Length == 0 || Path.IsPathRooted(line) || line.Split('/').Contains("..")) is { } odd)
            throw new IOException($"{Path.Combine(_base, List)} is damaged ('{odd}'); remove it, and then lamina's files by hand");
        return lines;
    }

    private void MakeFolder(string folder, List<string> made)
    {
        var path = Path.Combine(_base, folder);
        if (Directory.Exists(path)) return;
        if (Path.GetDirectoryName(folder) is { Length: > 0 } parent) MakeFolder(parent, made);
        _ = Directory.CreateDirectory(path, Executable);
        made.Add(folder + "/");
    }

    // A program that runs keeps the file that it has.
    private void Put(string path, Action<string> make)
    {
        var target = Path.Combine(_base, path);
        var temporary = Path.Combine(Path.GetDirectoryName(target)!, NewFile + Convert.ToHexStringLower(HostRandom.Bytes(8)));
        try
        {
            make(temporary);
            File.Move(temporary, target, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
