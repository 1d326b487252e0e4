// What a machine asks of whoever has the host's means to share out processor time: a control group, made by who starts its process.
namespace Lamina.Control;

/// <summary>Shares out the host's processor time. Any thread.</summary>
public interface IHostCpus
{
    /// <summary>What it is, in a word or two: "cgroup v2".</summary>
    string Means { get; }

    /// <summary>Takes the calling thread in, which is a virtual CPU's and has not run yet.</summary>
    /// <exception cref="IOException">The host refuses.</exception>
    void Enter();

    /// <summary>Puts a cap and a weight in force.</summary>
    /// <param name="limit">The share; where the threads run is not its affair.</param>
    /// <param name="reserve">What is kept for the machine, in percent of one processor; or null.</param>
    /// <exception cref="IOException">The host refuses.</exception>
    void Set(CpuLimit limit, int? reserve);
}
