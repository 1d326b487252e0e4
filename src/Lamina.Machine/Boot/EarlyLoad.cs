// Begins to bring a kernel and its RAM disk into memory on a thread of its own, while the machine's other parts are made; who makes them
// takes its share when they are. BootPlan.Load takes it as the first of its loads. Whoever watches the memory hears of it then, and not
// from this thread: nobody has anything of the memory yet.
using System.Runtime.ExceptionServices;
using Lamina.Core.Memory;

namespace Lamina.Boot;

/// <summary>A load that is under way; its thread has ended when this is disposed.</summary>
internal sealed class EarlyLoad : IDisposable
{
    private readonly Lazy<FileLoad> _load;
    private readonly Thread _thread;
    private ExceptionDispatchInfo? _failure;

    /// <summary>Begins. The memory must stay until this is disposed, and nobody else may write to it before <see cref="Finish"/>.</summary>
    internal EarlyLoad(BootPlan plan, GuestMemory memory)
    {
        _load = new Lazy<FileLoad>(() => plan.LoadOf(memory));
        _thread = new Thread(Load) { IsBackground = true, Name = "boot-load" };
        _thread.Start();

        void Load()
        {
            try
            {
                _load.Value.Work();
            }
            catch (Exception e)
            {
                // The start says it.
                _failure = ExceptionDispatchInfo.Capture(e);
            }
        }
    }

    /// <summary>Helps until the files are in memory.</summary>
    /// <exception cref="MachineException">A file can no longer be read.</exception>
    internal void Finish()
    {
        _load.Value.Work();
        _thread.Join();
        _failure?.Throw();
    }

    /// <inheritdoc/>
    public void Dispose() => _thread.Join();
}
