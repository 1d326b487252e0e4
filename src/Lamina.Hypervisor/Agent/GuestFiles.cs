// Files between the host and a guest, as tar archives that the guest's own tar packs and unpacks: folders, modes, links and times come
// with them. What is copied into a folder that there is goes into it; else it gets the name that was said, as with cp.
using System.IO.Pipelines;
using System.Text;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Agent;

/// <summary>Copies files to and from a guest.</summary>
/// <param name="connect">Connects to the agent; each command takes a connection of its own.</param>
public sealed class GuestFiles(Func<CancellationToken, Task<AgentConnection>> connect)
{
    // What is said of a command that fails.
    private const int LongestErrors = 4096;

    /// <summary>Copies a file or folder of the host's into the guest.</summary>
    /// <param name="from">The host's path.</param>
    /// <param name="to">The guest's.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>How many things were left out, since they are no files, folders or links.</returns>
    /// <exception cref="AgentException">The guest cannot take it; the sentence has what its tar said.</exception>
    /// <exception cref="IOException">It cannot be read, or is a device, a pipe or a socket.</exception>
    public async Task<int> CopyInAsync(string from, string to, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(from);
        ArgumentNullException.ThrowIfNull(to);
        if (!Path.Exists(from)) throw new FileNotFoundException($"{from} does not exist");
        if (!Directory.Exists(from) && !HostPath.IsRegular(from)) throw new IOException($"{from} is a device, a pipe or a socket of this host's; copy files and folders, or an archive by -");
        var isFolder = await IsFolderAsync(to, cancellationToken).ConfigureAwait(false);
        if (!isFolder && to.EndsWith('/')) throw new AgentException($"the guest has no folder {to}");
        var (folder, name) = isFolder ? (to, NameOf(Path.GetFullPath(from))) : Split(to);
        var pipe = new Pipe();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var packs = PackAsync(from, name, pipe.Writer, over.Token);
        await using var archive = pipe.Reader.AsStream();
        try
        {
            await DoAsync(["tar", "-x", "-f", "-", "-C", folder], archive, Stream.Null, $"{from} cannot be copied to {to}", cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // What cannot be read is the reason why the guest had no whole archive.
            if (!packs.IsCompleted) await over.CancelAsync().ConfigureAwait(false);
            await pipe.Reader.CompleteAsync().ConfigureAwait(false);
            await EndAsync(packs, cancellationToken).ConfigureAwait(false);
        }
        return await packs.ConfigureAwait(false);
    }

    /// <summary>Copies a file or folder of the guest's to the host.</summary>
    /// <param name="from">The guest's path.</param>
    /// <param name="to">The host's.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>How many things were left out, since they are no files, folders or links.</returns>
    /// <exception cref="AgentException">The guest cannot give it, or gives what is no archive of it.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public async Task<int> CopyOutAsync(string from, string to, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(from);
        ArgumentNullException.ThrowIfNull(to);
        var (guestFolder, name) = Split(from);
        var (folder, target) = Directory.Exists(to) ? (to, name) : (Path.GetDirectoryName(Path.GetFullPath(to))!, Path.GetFileName(Path.TrimEndingDirectorySeparator(to)));
        if (!Directory.Exists(folder) || (to.EndsWith('/') && !Directory.Exists(to))) throw new DirectoryNotFoundException($"the folder {(to.EndsWith('/') ? to : folder)} does not exist");
        var pipe = new Pipe();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var unpacks = UnpackAsync(pipe.Reader, name, folder, target, cancellationToken);
        // A full disk ends the guest's work, too.
        _ = unpacks.ContinueWith(_ => over.Cancel(), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await using var archive = pipe.Writer.AsStream();
            await DoAsync(["tar", "-c", "-f", "-", "-C", guestFolder, "--", name], null, archive, $"{from} cannot be copied", over.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Its reason follows.
        }
        catch
        {
            // What the guest says is the reason, and not what came of it here.
            await pipe.Writer.CompleteAsync().ConfigureAwait(false);
            await unpacks.ContinueWith(static over => _ = over.Exception, TaskScheduler.Default).ConfigureAwait(false);
            throw;
        }
        await pipe.Writer.CompleteAsync().ConfigureAwait(false);
        return await unpacks.ConfigureAwait(false);
    }

    /// <summary>Unpacks an archive in a folder of the guest's.</summary>
    /// <exception cref="AgentException">The guest cannot take it.</exception>
    public Task UnpackInAsync(Stream archive, string folder, CancellationToken cancellationToken = default) =>
        DoAsync(["tar", "-x", "-f", "-", "-C", folder], archive, Stream.Null, $"the archive cannot be unpacked in {folder}", cancellationToken);

    /// <summary>Packs a file or folder of the guest's.</summary>
    /// <exception cref="AgentException">The guest cannot give it.</exception>
    public Task PackOutAsync(string from, Stream archive, CancellationToken cancellationToken = default)
    {
        var (folder, name) = Split(from);
        return DoAsync(["tar", "-c", "-f", "-", "-C", folder, "--", name], null, archive, $"{from} cannot be copied", cancellationToken);
    }

    // One that was given up for its other end's sake has nothing to say.
    private static async Task EndAsync(Task task, CancellationToken cancellationToken)
    {
        try
        {
            await task.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
        }
    }

    private static async Task<int> PackAsync(string from, string name, PipeWriter writer, CancellationToken cancellationToken)
    {
        Exception? failure = null;
        try
        {
            return await HostArchive.PackAsync(from, name, writer.AsStream(leaveOpen: true), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            failure = unreadable;
            throw;
        }
        finally
        {
            await writer.CompleteAsync(failure).ConfigureAwait(false);
        }
    }

    private static async Task<int> UnpackAsync(PipeReader reader, string from, string folder, string name, CancellationToken cancellationToken)
    {
        try
        {
            var archive = reader.AsStream(leaveOpen: true);
            var leftOut = await HostArchive.UnpackAsync(archive, from, folder, name, cancellationToken).ConfigureAwait(false);
            await archive.CopyToAsync(Stream.Null, cancellationToken).ConfigureAwait(false);
            return leftOut;
        }
        finally
        {
            await reader.CompleteAsync().ConfigureAwait(false);
        }
    }

    private async Task<bool> IsFolderAsync(string path, CancellationToken cancellationToken)
    {
        var connection = await connect(cancellationToken).ConfigureAwait(false);
        await using var owned = connection.ConfigureAwait(false);
        var process = await AgentProcess.StartAsync(connection, new AgentCommand { Words = ["test", "-d", path], Folder = "/" }, cancellationToken).ConfigureAwait(false);
        return (await process.CarryAsync(null, Stream.Null, Stream.Null, cancellationToken).ConfigureAwait(false)).ExitCode == 0;
    }

    private async Task DoAsync(string[] words, Stream? input, Stream output, string what, CancellationToken cancellationToken)
    {
        var connection = await connect(cancellationToken).ConfigureAwait(false);
        await using var owned = connection.ConfigureAwait(false);
        var process = await AgentProcess.StartAsync(connection, new AgentCommand { Words = words, Folder = "/" }, cancellationToken).ConfigureAwait(false);
        using var errors = new BoundedStream(LongestErrors);
        var end = await process.CarryAsync(input, output, errors, cancellationToken).ConfigureAwait(false);
        if (end.ExitCode != 0) throw new AgentException($"{what}: {errors.FirstLine ?? $"the guest's tar ended with {end.ExitCode}"}");
    }

    private static (string Folder, string Name) Split(string path)
    {
        var whole = path.TrimEnd('/');
        var slash = whole.LastIndexOf('/');
        var name = whole[(slash + 1)..];
        return name is "" or "." or ".." ? throw new AgentException($"'{path}' names no file or folder of the guest's that could be copied; give it with its own name") : (slash < 0 ? "/" : whole[..(slash + 1)], name);
    }

    private static string NameOf(string path) => Path.GetFileName(Path.TrimEndingDirectorySeparator(path));

    // Keeps the beginning of what is written.
    private sealed class BoundedStream(int most) : MemoryStream
    {
        internal string? FirstLine
        {
            get
            {
                var line = Encoding.UTF8.GetString(ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).FirstOrDefault();
                return line is null ? null : new string([.. line.Take(AgentSpec.LongestSentence).Select(letter => char.IsControl(letter) ? '?' : letter)]);
            }
        }

        public override void Write(ReadOnlySpan<byte> buffer) => base.Write(buffer[..(int)Math.Min(buffer.Length, most - Length)]);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Write(buffer.Span);
            return default;
        }
    }
}
