// A program of the host's for a guest: copied into a folder with the libraries and the loader that it needs, which the guest mounts.
using System.Diagnostics;

namespace Lamina.Tests.Support;

internal static class HostProgram
{
    private const string Loader = "/lib64/ld-linux-x86-64.so.2";

    /// <summary>Copies a program, where this host has it.</summary>
    /// <param name="name">Its name in /usr/bin, which it has in the folder as well.</param>
    /// <param name="folder">The folder, which is made; the guest runs <c>FOLDER/ld --library-path FOLDER FOLDER/NAME</c>.</param>
    internal static bool TryCopy(string name, string folder)
    {
        var path = $"/usr/bin/{name}";
        if (!File.Exists(path) || !File.Exists(Loader)) return false;
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
