// The agent that goes into guests (docs/agent.md): its sources lie here, in C, and are compiled when an image is made. The compiler and
// the C library, tcc and musl, are packages of a few hundred kilobytes that apt fetches into the build's own folder; the host needs no
// compiler. What comes out is one static program that runs under any Linux of the guest's architecture.
namespace Lamina.Images.Agent;

/// <summary>Makes the agent.</summary>
internal static class GuestAgent
{
    private static readonly string[] Packages = ["tcc", "musl-dev"];
    private static readonly string[] Sources = ["agent.c", "wire.c", "run.c", "acts.c"], Headers = ["agent.h"];

    /// <summary>All its sources, in an order that does not change: what it is made of.</summary>
    public static byte[] Source => [.. Headers.Concat(Sources).SelectMany(name => EmbeddedFile.Read($"Agent.{name}"))];

    /// <summary>Makes the program.</summary>
    /// <param name="apt">Fetches the compiler.</param>
    /// <param name="folder">A private folder; what is left in it is of no use afterwards.</param>
    /// <param name="progress">Is told what goes on.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ImageException">The compiler cannot be had, or refuses.</exception>
    public static async Task<byte[]> BuildAsync(AptPackages apt, string folder, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        var tools = Directory.CreateDirectory(Path.Combine(folder, "tools")).FullName;
        foreach (var package in await apt.FindAsync(Packages, cancellationToken).ConfigureAwait(false))
        {
            var archive = await apt.DownloadAsync(package, cancellationToken).ConfigureAwait(false);
            await apt.UnpackAsync(archive, tools, cancellationToken).ConfigureAwait(false);
            File.Delete(archive);
        }
        progress.Report(new ImageProgress("Compiling the agent", null));
        foreach (var name in Headers.Concat(Sources)) await File.WriteAllBytesAsync(Path.Combine(folder, name), EmbeddedFile.Read($"Agent.{name}"), cancellationToken).ConfigureAwait(false);
        var (program, compiler, library) = (Path.Combine(folder, "lamina-agent"), Path.Combine(tools, "usr/lib/x86_64-linux-gnu/tcc"), Path.Combine(tools, "usr/lib/x86_64-linux-musl"));
        // The C library needs the compiler's helpers, and they need it.
        string[] arguments =
        [
            "-Wall", "-static", "-nostdinc", "-nostdlib", $"-I{tools}/usr/include/x86_64-linux-musl", $"-I{compiler}/include", "-o", program,
            $"{library}/crt1.o", $"{library}/crti.o", .. Sources, $"{library}/libc.a", $"{compiler}/libtcc1.a", $"{library}/libc.a", $"{library}/crtn.o",
        ];
        var result = await HostCommand.At(Path.Combine(tools, "usr/bin/tcc")).RunAsync(arguments, folder, null, cancellationToken).ConfigureAwait(false);
        return result.ExitCode == 0
            ? await File.ReadAllBytesAsync(program, cancellationToken).ConfigureAwait(false)
            : throw new ImageException($"the guest's agent cannot be compiled with this host's package tcc: {result.Errors.Concat(result.Output).FirstOrDefault() ?? $"exit code {result.ExitCode}"}");
    }
}
