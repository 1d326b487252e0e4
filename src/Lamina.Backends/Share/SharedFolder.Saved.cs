// A shared folder in a saved state: what the guest knows by number (ShareTree.Saved.cs) and what it has open, by number and by the flags
// with which it was opened. Positions are the guest's own. The host's files are not in it: what of them has gone, has lost its name or
// has become another one since is an error for the guest when it uses it (ESTALE), and a sentence for the user where it was open.
using System.Text;
using Lamina.Core.Logging;
using Lamina.Core.State;
using Lamina.Host.Io;

namespace Lamina.Backends.Share;

public sealed partial class SharedFolder
{
    // A bound for what is damaged; how many a guest may have open is another, and may differ from host to host.
    private const int MostSavedFiles = 1 << 20;

    private struct SavedFile
    {
        internal ulong Handle;

        // 0 where it was lost before.
        internal ulong Node;
        internal int Flags;

        internal static void Exchange(SavedFields fields, ref SavedFile file)
        {
            fields.Value(1, ref file.Handle);
            fields.Value(2, ref file.Node);
            fields.Value(3, ref file.Flags);
        }
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("shared folder", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate)
        {
            IReadOnlyList<SavedFile> files =
            [
                .. _files.Select(file => new SavedFile { Handle = file.Key, Node = _tree.ById(file.Value.Node.Id) == file.Value.Node ? file.Value.Node.Id : 0, Flags = file.Value.Flags }),
                .. _lostFiles.Select(handle => new SavedFile { Handle = handle }),
            ];
            Exchange(fields, ref files);
        }
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            Reset();
            IReadOnlyList<SavedFile> files = [];
            Exchange(fields, ref files);
            var lost = new List<SavedFile>();
            foreach (var file in files)
            {
                SavedFields.Require(file.Handle > 0 && file.Handle < _nextHandle && !_files.ContainsKey(file.Handle) && !_lostFiles.Contains(file.Handle), $"an open file with the number {file.Handle}");
                if (TryReopen(file)) continue;
                _lostFiles.Add(file.Handle);
                if (file.Node != 0) lost.Add(file);
            }
            if (lost.Count == 0) return;
            _options.Log.Warn(LogEvent.Share, $"shared folder {_options.Name ?? _path}: of what the guest had open, {(lost.Count == 1 ? "one file is" : $"{lost.Count} files are")} not there any more as it was ({PathOf(lost[0])}{(lost.Count > 1 ? " and others" : "")}); the guest gets errors for that");
        }
    }

    private void Exchange(SavedFields fields, ref IReadOnlyList<SavedFile> files)
    {
        fields.List(1, ref files, MostSavedFiles, SavedFile.Exchange);
        fields.Record(2, ref _tree, static (SavedFields fields, ref ShareTree tree) => tree.Exchange(fields));
        fields.Value(3, ref _nextHandle);
        fields.Value(4, ref _tellsMounts);
    }

    // What opening did to the file, it did when the guest asked for it.
    private bool TryReopen(in SavedFile saved)
    {
        var flags = saved.Flags & ~Truncate;
        if (_tree.ById(saved.Node) is not { } node || _files.Count >= _options.Limits.OpenFiles || (_options.ReadOnly && (flags & AccessMode) != 0)) return false;
        HostOpenNode? file;
        var result = Open(node, flags, out file);
        for (var tries = 1; result == HostNode.NoDescriptor && tries < MostTries && _tree.LetSomeGo(); tries++) result = Open(node, flags, out file);
        _tree.EndRequest();
        if (result < 0) return false;
        var open = new OpenFile(node, file!, saved.Flags);
        _tree.AddOpen(open);
        _files[saved.Handle] = open;
        return true;
    }

    private int Open(FuseNode node, int flags, out HostOpenNode? file)
    {
        file = null;
        var result = _tree.Reach(node, out var host);
        return result < 0 ? result : host.Open(flags, out file);
    }

    private string PathOf(in SavedFile file)
    {
        var names = new List<string>();
        for (var node = _tree.ById(file.Node); node is not null && node != _tree.Root; node = node.Parent) names.Insert(0, node.Parent is null ? "a file without a name" : Encoding.UTF8.GetString(node.Name));
        return string.Join('/', names);
    }
}
