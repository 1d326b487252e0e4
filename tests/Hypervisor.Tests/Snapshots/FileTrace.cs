// What a process does to files, as strace(1) tells it: every call that makes, writes, flushes, renames or removes one, in order, with the bytes. It holds for whatever makes the calls: the program, the
// runtime, a library.
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace Lamina.Tests.Hypervisor.Snapshots;

/// <summary>The calls of a process, one after another.</summary>
internal sealed partial class FileTrace
{
    private const string Calls = "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile,ioctl";

    private readonly Dictionary<string, long> _at = new(StringComparer.Ordinal);
    private readonly RecordedFolder _folder;

    private FileTrace(RecordedFolder folder) => _folder = folder;

    /// <summary>Skips the test where the host cannot trace.</summary>
    internal static void SkipWhereMissing()
    {
        using var process = TryStart(["-qq", "-o", "/dev/null", "true"]);
        process?.WaitForExit();
        Assert.SkipUnless(process?.ExitCode == 0, "strace(1) is not installed, or may not trace");
    }

    /// <summary>Runs a program, and gives what it did.</summary>
    internal static IReadOnlyList<string> Run(string log, params string[] command)
    {
        using var process = TryStart(["-f", "-y", "-qq", "-xx", "-s", "67108864", "-e", "signal=none", "-e", "trace=" + Calls, "-o", log, .. command])!;
        using var over = TestContext.Current.CancellationToken.Register(() => process.Kill(entireProcessTree: true));
        var said = process.StandardError.ReadToEndAsync();
        var printed = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{process.ExitCode}: {printed}{said.Result}");
        return Whole(File.ReadLines(log));
    }

    /// <summary>Has a folder change as the calls say.</summary>
    /// <param name="folder">The folder, as it was before.</param>
    /// <param name="calls">The calls.</param>
    /// <param name="before">Told before each that changes something in it, and at each name that is removed and is not there: a mark that the process leaves.</param>
    internal static void Replay(RecordedFolder folder, IReadOnlyList<string> calls, Action<string?> before)
    {
        var trace = new FileTrace(folder);
        foreach (var call in calls) trace.Do(call, before);
    }

    private static Process? TryStart(string[] arguments)
    {
        try
        {
            return Process.Start(new ProcessStartInfo("strace", arguments) { RedirectStandardError = true, RedirectStandardOutput = true });
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    // A call during which another thread made one comes in two lines; it counts where it has ended.
    private static List<string> Whole(IEnumerable<string> lines)
    {
        const string Unfinished = " <unfinished ...>";
        var begun = new Dictionary<string, string>(StringComparer.Ordinal);
        var calls = new List<string>();
        foreach (var line in lines)
        {
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            var (thread, call) = (line[..space], line[space..].TrimStart());
            if (call.EndsWith(Unfinished, StringComparison.Ordinal)) begun[thread] = call[..^Unfinished.Length];
            else if (call.StartsWith("<... ", StringComparison.Ordinal)) calls.Add(begun[thread] + call[(call.IndexOf("resumed>", StringComparison.Ordinal) + 8)..]);
            else calls.Add(call);
        }
        return calls;
    }

    private void Do(string call, Action<string?> before)
    {
        if (CallForm().Match(call) is not { Success: true } form) return;
        var (name, arguments, result) = (form.Groups[1].Value, form.Groups[2].Value, form.Groups[3].Value);
        var texts = Texts().Matches(arguments).Select(text => Bytes(text.Groups[1].Value)).ToArray();
        var places = Places().Matches(arguments).Select(place => Text(place.Groups[1].Value)).ToArray();
        if (name is "unlink" or "unlinkat" && result == "-1" && _folder.Has(Encoding.UTF8.GetString(texts[0])))
        {
            before(Path.GetFileName(Encoding.UTF8.GetString(texts[0])));
            return;
        }
        if (result == "-1") return;
        var descriptor = arguments.Split('<', 2)[0];
        var path = name is "openat" or "open" or "creat" or "mkdir" or "mkdirat" or "rmdir" or "unlink" or "unlinkat" or "truncate" or "rename" or "renameat" or "renameat2" or "link" or "linkat"
            ? Full(Encoding.UTF8.GetString(texts[0]), places) : name == "sendfile" || name == "copy_file_range" ? places.LastOrDefault() : places.FirstOrDefault();
        if (path is null || !_folder.Has(path) && !(texts.Length > 1 && _folder.Has(Encoding.UTF8.GetString(texts[1])))) return;
        switch (name)
        {
            case "openat" or "open" or "creat":
                _at[result.Split('<')[0]] = 0;
                if (!arguments.Contains("O_CREAT", StringComparison.Ordinal) && !arguments.Contains("O_TRUNC", StringComparison.Ordinal)) return;
                before(null);
                _folder.Open(path, arguments.Contains("O_TRUNC", StringComparison.Ordinal));
                break;
            case "write" or "writev":
                before(null);
                _folder.Write(path, Advance(descriptor, result), Joined(texts, result));
                break;
            case "pwrite64" or "pwritev" or "pwritev2":
                before(null);
                _folder.Write(path, Number(arguments), Joined(texts, result));
                break;
            case "ftruncate" or "truncate":
                before(null);
                _folder.SetLength(path, Number(arguments));
                break;
            case "copy_file_range" or "sendfile":
                if (result == "0") return;
                before(null);
                var (target, source) = name == "sendfile" ? (places[0], places[1]) : (places[1], places[0]);
                var into = Descriptors().Matches(arguments).Select(found => found.Groups[1].Value).ToArray();
                var to = name == "sendfile" ? into[0] : into[1];
                var at = Advance(to, result);
                _folder.Write(target, at, (_folder.Has(source) ? _folder.Read(source) : File.ReadAllBytes(source)).AsSpan((int)at, int.Parse(result, CultureInfo.InvariantCulture)).ToArray());
                break;
            case "ioctl" when arguments.Contains("CLONE", StringComparison.Ordinal):
                Assert.Skip("the host's file system copies files by sharing, which is not told of");
                break;
            case "fsync" or "fdatasync":
                before(null);
                _folder.Flush(path);
                break;
            case "rename" or "renameat" or "renameat2":
                before(null);
                _folder.Rename(path, Full(Encoding.UTF8.GetString(texts[1]), places));
                break;
            case "link" or "linkat":
                before(null);
                _folder.Link(path, Full(Encoding.UTF8.GetString(texts[1]), places));
                break;
            case "unlink" or "unlinkat" or "rmdir":
                before(null);
                _folder.Remove(path);
                break;
            case "mkdir" or "mkdirat":
                before(null);
                _folder.Make(path);
                break;
            case "fallocate":
                throw new InvalidOperationException($"this is not told of: {call[..Math.Min(call.Length, 200)]}");
        }
    }

    private long Advance(string descriptor, string count)
    {
        var at = _at.GetValueOrDefault(descriptor);
        _at[descriptor] = at + long.Parse(count, CultureInfo.InvariantCulture);
        return at;
    }

    private static string Full(string path, string[] places) => path.StartsWith('/') ? path : Path.Combine(places.FirstOrDefault() ?? "", path);

    private static byte[] Joined(byte[][] texts, string count) => [.. texts.SelectMany(text => text).Take(int.Parse(count, CultureInfo.InvariantCulture))];

    // The last one: an offset, a length.
    private static long Number(string arguments) => long.Parse(Numbers().Match(arguments).Groups[1].Value, CultureInfo.InvariantCulture);

    private static string Text(string escaped) => Encoding.UTF8.GetString(Bytes(escaped));

    // Every byte as \xHH.
    private static byte[] Bytes(string escaped) => Convert.FromHexString(escaped.Replace("\\x", "", StringComparison.Ordinal));

    [GeneratedRegex(@"^(\w+)\((.*)\) += (-?\w+)")]
    private static partial Regex CallForm();

    [GeneratedRegex("\"((?:\\\\x[0-9a-f]{2})*)\"")]
    private static partial Regex Texts();

    [GeneratedRegex(@"(?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")]
    private static partial Regex Places();

    [GeneratedRegex(@"(\d+)<")]
    private static partial Regex Descriptors();

    [GeneratedRegex(@", (\d+)(?:, [A-Z_][A-Z0-9_|]*)?$")]
    private static partial Regex Numbers();
}
