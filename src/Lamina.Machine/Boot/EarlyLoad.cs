// Brings a kernel and its RAM disk into memory on a thread of its own, while the machine's other parts are made: clearing those
// pages and copying the files is most of what a start costs. BootPlan.Load takes it as the first of its loads. Whoever watches the
// memory hears of it then, and not from this thread: nobody has anything of the memory yet.
using System.Runtime.ExceptionServices;
using Lamina.Core.Memory;

namespace Lamina.Boot;

/// <summary>A thread that loads once; it has ended when this is disposed.</summary>
internal sealed class EarlyLoad : IDisposable
{
    private readonly Thread _thread;
    private ExceptionDispatchInfo? _failure;

    /// <summary>Begins. The memory must stay until this is disposed, and nobody else may write to it before <see cref="Finish"/>.</summary>
    internal EarlyLoad(BootPlan plan, GuestMemory memory)
    {
        _thread = new Thread(Load) { IsBackground = true, Name = "boot-load" };
        _thread.Start();

        void Load()
        {
            try
            {
                plan.LoadFiles(memory);
            }
            catch (Exception e)
            {
                // The start says it.
                _failure = ExceptionDispatchInfo.Capture(e);
            }
        }
    }

    /// <summary>Waits until the files are in memory.</summary>
    /// <exception cref="MachineException">A file can no longer be read.</exception>
    internal void Finish()
    {
        _thread.Join();
        _failure?.Throw();
    }

    /// <inheritdoc/>
    public void Dispose() => _thread.Join();
}
