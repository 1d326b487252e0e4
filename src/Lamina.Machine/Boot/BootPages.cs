// Takes the memory that a kernel and its RAM disk will lie in from the host on a thread of its own, while the machine's other parts
// are made: clearing those pages is most of what loading costs. The content is BootPlan's affair, which finds the pages there
// or, where it comes first, takes them itself.
using Lamina.Core.Memory;

namespace Lamina.Boot;

/// <summary>A thread that touches memory once; it has ended when this is disposed.</summary>
internal sealed class BootPages : IDisposable
{
    private readonly Thread _thread;

    /// <summary>Begins. The memory must stay until this is disposed.</summary>
    internal BootPages(BootPlan plan, GuestMemory memory)
    {
        var ranges = plan.OfFiles.ToList();
        _thread = new Thread(() => ranges.ForEach(memory.Populate)) { IsBackground = true, Name = "boot-pages" };
        _thread.Start();
    }

    /// <inheritdoc/>
    public void Dispose() => _thread.Join();
}
