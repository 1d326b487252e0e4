// A temporary folder to share, in which anything may be left behind.
using System.Diagnostics;

namespace Lamina.Tests.Backends.Share;

internal sealed class ShareFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-share-");

    public string Path => _folder.FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} exited with {process.ExitCode}");
    }

    // Names that are no text, and paths that are longer than any, are beyond .NET.
    public void Dispose() => Run("rm", "-rf", Path);
}
