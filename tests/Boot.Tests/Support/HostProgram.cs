// A program of the host's for a guest: copied into a folder with the libraries and the loader that it needs, which the guest mounts.
using System.Diagnostics;

namespace Lamina.Tests.Boot.Support;

internal static class HostProgram
{
    private const string Loader = "/lib64/ld-linux-x86-64.so.2";

    /// <summary>Whether this host has a program.</summary>
    internal static bool IsInstalled(string name) => File.Exists($"/usr/bin/{name}") && File.Exists(Loader);

    /// <summary>How a guest calls a program that has the folder at a path.</summary>
    internal static string At(string folder, string name) => $"{folder}/ld --library-path {folder} {folder}/{name}";

    /// <summary>Copies a program, where this host has it.</summary>
    /// <param name="name">Its name in /usr/bin, which it has in the folder as well.</param>
    /// <param name="folder">The folder, which is made; see <see cref="At"/>.</param>
    internal static bool TryCopy(string name, string folder)
    {
        if (!IsInstalled(name)) return false;
        var path = $"/usr/bin/{name}";
        Directory.CreateDirectory(folder);
        File.Copy(path, Path.Combine(folder, name));
        File.Copy(Loader, Path.Combine(folder, "ld"));
        using var listing = Process.Start(new ProcessStartInfo(Loader, ["--list", path]) { RedirectStandardOutput = true })!;
        foreach (var line in listing.StandardOutput.ReadToEnd().Split('\n'))
            if (line.Split(' ', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is [var library, "=>", var place, ..]) File.Copy(place, Path.Combine(folder, library));
        listing.WaitForExit();
        return true;
    }
}
